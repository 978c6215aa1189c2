import io
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from docutils.core import publish_doctree
from jinja2 import Environment, StrictUndefined

from reliance.base.artifacts import read_json
from reliance.base.errors import RelianceError
from reliance.figures.concepts.fig10 import fig10 as fig10_
from reliance.figures.concepts.fig11 import fig11 as fig11_
from reliance.lens.unit_maps import READ

from ..jobs import as_job
from ..mapped import SITE, pictures_of, write_model
from ..pictures import HOSTILE, POOL, write_hidden

fig10 = as_job(fig10_)
fig11 = as_job(fig11_)

REPORT = Path(__file__).parents[3] / "workflow" / "report"
BANDS = ["clear"] * 4 + ["middle"] * 2 + ["diffuse"]


def numbers(outputs):
    return pd.read_csv(outputs["csv"], keep_default_na=False)


def test_every_component_stands_above_its_strongest_images(tmp_path, outputs, drawn):
    fig10(**write_hidden(tmp_path, BANDS), **outputs)
    table = numbers(outputs)
    assert table["band"].drop_duplicates().tolist() == ["clear", "middle", "diffuse"]
    for component, part in table.groupby("component"):
        assert part["place"].tolist() == [1, 2, 3, 4, 5, 6]
        assert part["image_id"].tolist() == [(3 * component + 5 * r) % POOL for r in range(6)]
        assert part["image_activation"].tolist() == [9 - r for r in range(6)]
    texts = drawn()
    assert {"#3", "no name (label 3?)", "a 5.00 · s 0.040", "clarity ≥ 0.6, 4 hidden", "Diffuse"} <= set(
        texts
    )
    assert not any("of the output" in text for text in texts)


def test_the_class_and_its_share_are_said_by_relevance(tmp_path, outputs, drawn):
    fig11(**write_hidden(tmp_path, BANDS), **outputs)
    assert "20.0 % of the output for “shark”" in drawn()
    assert numbers(outputs)["short_name"].eq("shark").all()


def dots(figure):
    return [line for line in figure.axes[0].lines if line.get_marker() == "o"]


def test_only_hidden_concepts_have_a_dot(tmp_path, outputs, drawn_figure):
    flagged = [True, False, True, False, False, False, True]
    fig10(**write_hidden(tmp_path, BANDS, flagged), **outputs)
    assert len(dots(drawn_figure())) == 3
    table = numbers(outputs).drop_duplicates("component").set_index("component")
    assert table["flagged"].to_dict() == dict(enumerate(flagged))
    caption = outputs["caption"].read_text()
    assert "Of 7 named components 3 are hidden (2 clear, 0 middle, 1 diffuse)" in caption
    assert "without a dot (4) only fill up" in caption
    assert "above 3, and alignment with the label of at most 0.1" in caption


def test_a_band_has_so_many_at_most_and_an_empty_one_takes_no_room(tmp_path, outputs, drawn):
    fig11(**write_hidden(tmp_path, ["clear"] * 4 + [""] * 2), **outputs, per_band=3, images_per_component=1)
    texts = drawn()
    assert "clarity ≥ 0.6, 3 of 4 hidden" in texts
    assert "Middle" not in texts and "no relevant component" not in texts
    assert "No relevant component is middle or diffuse." in outputs["caption"].read_text()
    assert len(numbers(outputs)) == 3


def test_maps_lie_over_all_images_and_are_said(tmp_path, outputs, drawn_figure):
    files = write_hidden(tmp_path, BANDS[:2])
    fig10(**files, **outputs)
    plain, *before = pictures_of(drawn_figure()), outputs["caption"].read_text(), outputs["csv"].read_bytes()
    fig10(**files, **outputs, **write_model(tmp_path, 9), site=SITE)
    found = pictures_of(drawn_figure())
    assert [(a != b).any() for a, b in zip(plain, found, strict=True)] == [True] * 12
    said = f"{before[0].rstrip()} Colours over an image: {READ}.\n"
    assert [outputs["caption"].read_text(), outputs["csv"].read_bytes()] == [said, before[1]]


def test_an_sae_of_another_model_is_refused(tmp_path, outputs):
    model = write_model(tmp_path, 9, encoder="0" * 64)
    with pytest.raises(RelianceError, match="same encoder weights"):
        fig10(**write_hidden(tmp_path, BANDS[:1]), **outputs, **model, site=SITE)


def test_units_without_maps_say_what_to_do_about_the_gallery(tmp_path, outputs):
    with pytest.raises(RelianceError, match=r"site embedding(.|\n)*maps: false"):
        fig10(**write_hidden(tmp_path, BANDS[:1]), **outputs, **write_model(tmp_path, 9), site="embedding")


def test_no_component_at_all(tmp_path, outputs, drawn):
    fig10(**write_hidden(tmp_path, []), **outputs)
    assert drawn().count("no strong component") == 3
    assert len(numbers(outputs)) == 0


def test_images_that_are_gone_are_counted(tmp_path, outputs, drawn):
    files = write_hidden(tmp_path, ["clear"])
    (tmp_path / "images/train/x/005.png").unlink()
    fig10(**files, **outputs)
    assert "missing" in drawn()
    assert "1 of 6 images could not be drawn" in outputs["caption"].read_text()


def test_names_of_any_kind_are_drawn_inside_the_page(tmp_path, outputs, drawn_figure):
    bands = (["clear", "middle", "diffuse"] * 3)[: len(HOSTILE)]
    fig11(**write_hidden(tmp_path, bands, labels=list(HOSTILE), names=[HOSTILE[0]]), **outputs)
    figure = drawn_figure()
    texts = [t for t in figure.axes[0].texts if t.get_text()]
    assert texts and all(t.get_window_extent().x1 <= figure.bbox.x1 for t in texts)


@pytest.mark.parametrize(("draw", "kind"), [(fig10, "fig10"), (fig11, "fig11")])
def test_same_input_same_bytes(tmp_path, outputs, draw, kind):
    files = write_hidden(tmp_path, ["clear", "diffuse"])
    again = {key: tmp_path / "again" / path.name for key, path in outputs.items()}
    for target in (outputs, again):
        draw(**files, **target)
    assert all(path.read_bytes() == again[key].read_bytes() for key, path in outputs.items())
    assert {"hidden", "top_samples", "classes"} <= set(
        read_json(f"{outputs['png']}.meta.json", kind, 1)[1].inputs
    )


def test_tables_of_another_sae_are_refused(tmp_path, outputs):
    files = write_hidden(tmp_path / "a", ["clear"])
    other = write_hidden(tmp_path / "b", ["clear"])
    from reliance.base.artifacts import read_table, write_table
    from reliance.codes.top_samples import TOP_SAMPLES
    from reliance.naming.table import COMPONENTS

    for name, spec in (("components", COMPONENTS), ("top_samples", TOP_SAMPLES)):
        write_table(other[name], read_table(other[name], spec).frame, spec, {}, {"codes": "d" * 64})
        with pytest.raises(RelianceError, match="same"):
            fig10(**{**files, name: other[name]}, **outputs)


@pytest.mark.parametrize("name", ["fig10", "fig11", "fig12", "fig13"])
def test_report_caption_renders_without_a_complaint(name):
    job = SimpleNamespace(params=SimpleNamespace(settings={"variants": ["vit_b16.n20"]}))
    template = Environment(undefined=StrictUndefined).from_string((REPORT / f"{name}.rst").read_text())
    stream = io.StringIO()
    settings = {"warning_stream": stream, "report_level": 1}
    document = publish_doctree(template.render(snakemake=job), settings_overrides=settings)
    assert stream.getvalue() == "" and "vit_b16.n20" in document.astext()
