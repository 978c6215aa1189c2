import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import read_json, read_table, write_table
from reliance.figures.robustness.fig5 import GIVEN, TRAINED
from reliance.figures.robustness.fig5 import fig5 as fig5_
from reliance.figures.robustness.fig14 import fig14 as fig14_
from reliance.robustness.summary import ROBUSTNESS, read_results

from ..examples import ALL_KINDS, PLANTS, table_of
from ..jobs import as_job

fig5 = as_job(fig5_)
fig14 = as_job(fig14_)


def test_numbers_behind_the_figure_are_the_means(write, outputs, drawn):
    frame = table_of(ALL_KINDS, PLANTS)
    fig5(robustness=write({"demo": frame}), variants=["demo"], **outputs)
    numbers = pd.read_csv(outputs["csv"], keep_default_na=False)
    row = numbers[
        (numbers["section"] == "found") & (numbers["kind"] == "compound") & (numbers["probe"] == "both")
    ]
    own = frame[(frame["source"] == "mined") & (frame["kind"] == "compound") & (frame["probe"] == "both")]
    assert float(row["spurious_auc"].item()) == pytest.approx(own["spurious_auc"].mean(), rel=1e-5)
    sem = own["spurious_auc"].std(ddof=1) / np.sqrt(len(own))
    assert float(row["spurious_sem"].item()) == pytest.approx(sem, rel=1e-5)
    assert set(numbers["probe"]) == {"short", "both", "linear"}
    modes = numbers.loc[(numbers["section"] == "planted") & (numbers["kind"] == "spurious"), "mode"]
    assert set(modes) == {"caption", "artefact"}


def test_files_carry_the_id_of_the_benchmark(write, outputs):
    paths = write({"demo": table_of(ALL_KINDS)})
    fig5(robustness=paths, variants=["demo"], **outputs)
    for path in outputs.values():
        assert read_json(f"{path}.meta.json", "fig5", 1)[1].inputs == read_results(paths, ["demo"]).ids


def test_same_input_same_bytes(write, outputs, tmp_path):
    paths = write({"demo": table_of(ALL_KINDS, PLANTS)})
    again = {key: tmp_path / "again" / path.name for key, path in outputs.items()}
    for files in (outputs, again):
        fig5(robustness=paths, variants=["demo"], **files)
    assert all(path.read_bytes() == again[key].read_bytes() for key, path in outputs.items())


def test_eight_variants_and_random_weights(write, outputs, drawn):
    names = [f"model {i}" for i in range(8)]
    paths = write({name: table_of(ALL_KINDS, seed=i) for i, name in enumerate(names)})
    flags = [i == 3 for i in range(8)]
    fig5(robustness=paths, variants=names, random_weights=flags, **outputs)
    texts = drawn()
    assert "Random weights: model 3" in texts
    assert {f"model {i}" for i in range(8)} <= set(texts)
    assert "Random weights: model 3" in outputs["caption"].read_text()


def test_a_kind_without_cases_says_so_and_one_case_has_no_bar(write, outputs, drawn):
    frame = table_of({"polysemous": 1, "compound": 3})
    fig5(robustness=write({"demo": frame}), variants=["demo"], **outputs)
    texts = drawn()
    assert texts.count("no case found") == 2
    assert "1 case, no SEM" in texts
    assert "3 cases" in texts


def test_no_case_at_all(write, outputs, drawn):
    fig5(robustness=write({"demo": table_of({})}), variants=["demo"], **outputs)
    assert drawn().count("no case found") == 4
    assert "no case to judge by" in outputs["caption"].read_text()


def test_caption_says_what_a_reader_must_know(write, outputs, drawn):
    frames = {"early": table_of(ALL_KINDS, PLANTS), "demo": table_of({**ALL_KINDS, "compound": 4}, PLANTS)}
    fig5(robustness=write(frames), variants=list(frames), **outputs)
    caption = outputs["caption"].read_text()
    assert "selected by the text output of demo" in caption
    assert "scored on different cases" in caption
    assert "Full names help against polysemous words: **holds** on found cases" in caption
    assert "never averaged" in caption


def test_number_of_cases_may_differ_between_variants(write, outputs, drawn):
    frames = {"a": table_of(ALL_KINDS), "b": table_of({**ALL_KINDS, "compound": 4})}
    fig5(robustness=write(frames), variants=list(frames), **outputs)
    assert "4 to 9 cases" in drawn()


@pytest.mark.parametrize("draw", [fig5, fig14])
def test_skipped_lists_are_said_and_part_of_the_identity(write, outputs, drawn, draw):
    paths = write({"demo": table_of(ALL_KINDS)})
    draw(robustness=paths, variants=["demo"], **outputs)
    assert "skipped" not in outputs["caption"].read_text()
    before = read_json(f"{outputs['csv']}.meta.json", draw.__name__, 1)[1]
    draw(robustness=paths, variants=["demo"], skipped_lists=["spurious_imagenet", "mine"], **outputs)
    sentence = "Lists without a folder or tables were skipped: spurious_imagenet, mine."
    assert sentence in outputs["caption"].read_text()
    assert read_json(f"{outputs['csv']}.meta.json", draw.__name__, 1)[1].id != before.id


def test_nothing_is_drawn_outside_the_page(write, outputs, drawn_figure):
    frames = {"vit_b32_datacomp_m": table_of(ALL_KINDS, PLANTS), "b": table_of(ALL_KINDS, PLANTS)}
    fig5(robustness=write(frames), variants=list(frames), random_weights=[True, False], **outputs)
    figure = drawn_figure()
    page = figure.bbox
    for text in [
        t for t in figure.findobj(lambda o: hasattr(o, "get_text")) if t.get_text() and t.get_visible()
    ]:
        box = text.get_window_extent()
        assert box.x0 >= page.x0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.y1 <= page.y1 + 1, text


def test_lists_found_elsewhere_have_the_score_they_are_published_with(write, outputs):
    frame = table_of({"compound": 3})
    listed = table_of({"spurious": 2}, seed=1).assign(source="neuhaus", discovered_on="")
    fig5(robustness=write({"demo": pd.concat([frame, listed])}), variants=["demo"], **outputs)
    caption = outputs["caption"].read_text()
    short, linear = (listed[listed["probe"] == p]["spurious_ap"].mean() for p in ("short", "linear"))
    assert f"on the cases of Neuhaus et al. (2 cases, mean): short names {short:.3f}, " in caption
    assert f", linear probe {linear:.3f}." in caption
    numbers = pd.read_csv(outputs["csv"])
    own = numbers[(numbers["kind"] == "spurious") & (numbers["probe"] == "short")]
    assert own["spurious_ap"].item() == pytest.approx(short, rel=1e-5)
    fig5(robustness=write({"demo": frame}), variants=["demo"], **outputs)
    assert "Average precision" not in outputs["caption"].read_text()


@pytest.mark.parametrize(
    ("given", "said", "not_said"),
    [({}, TRAINED, GIVEN), ({"probe_given": "head.npz"}, GIVEN, TRAINED)],
)
def test_a_probe_that_was_given_is_not_said_to_be_trained(write, outputs, given, said, not_said):
    (table,) = write({"demo": table_of(ALL_KINDS)})
    frame = read_table(table, ROBUSTNESS).frame
    write_table(table, frame, ROBUSTNESS, {"variant": "demo", "probe_kind": "logistic", **given}, {})
    fig5(robustness=[table], variants=["demo"], **outputs)
    caption = outputs["caption"].read_text()
    assert f"the linear probe {said}. Error bars" in caption and not_said not in caption
