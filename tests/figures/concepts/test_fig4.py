import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.concepts.schema import ALIGNMENTS
from reliance.figures.concepts.fig4 import fig4 as fig4_
from reliance.figures.concepts.scatter import MANY
from reliance.naming.table import COMPONENTS

from ..component_examples import (
    alignments_table,
    bases,
    components_table,
    write_bases,
    write_components,
)
from ..jobs import as_job
from ..pages import check_inside

fig4 = as_job(fig4_)


def numbers_of(outputs, panel, series="sae"):
    table = pd.read_csv(outputs["csv"])
    return table[(table["panel"] == panel) & (table["series"] == series)]


def test_scatter_is_of_the_named_components(tmp_path, outputs, drawn):
    tables = bases()
    fig4(**write_bases(tmp_path, {"demo": tables}), variants=["demo"], **outputs)
    sae = tables[0]
    named = sae[sae["label"] != ""]
    rows = numbers_of(outputs, "a")
    points = rows[rows["component"].notna()]
    assert points["component"].to_list() == named["component"].to_list()
    assert points["clarity"].to_numpy() == pytest.approx(named["clarity"].to_numpy(), rel=1e-5)
    assert points["activation"].to_numpy() == pytest.approx(named["top20_mean"].to_numpy(), rel=1e-5)
    r = np.corrcoef(named["top20_mean"], named["clarity"])[0, 1]
    assert rows["r"].dropna().item() == pytest.approx(r, rel=1e-4)
    x, y = named["top20_mean"], named["clarity"]
    low = ((x < (x.min() + x.max()) / 2) & (y < (y.min() + y.max()) / 2)).mean()
    texts = drawn()
    assert f"r = {r:.2f}" in texts
    assert f"{len(named)} components; {100 * low:.0f} % low in both" in texts


def test_bars_count_labels_and_draw_equally_many(tmp_path, outputs, drawn):
    tables = bases()
    fig4(**write_bases(tmp_path, {"demo": tables}), variants=["demo"], **outputs)
    named = [t.loc[t["label"] != "", "label"] for t in tables[:3]]
    fewest, texts = min(len(labels) for labels in named), drawn()
    for series, labels in zip(("sae", "neurons", "pca"), named, strict=True):
        row = numbers_of(outputs, "b", series).iloc[0]
        assert (row["n_components"], row["n_unique"]) == (len(labels), labels.nunique())
        rng = np.random.default_rng(0)
        draws = [len(set(rng.choice(labels, fewest, replace=False))) for _ in range(300)]
        assert row["rarefied"] == pytest.approx(np.mean(draws), abs=0.2)
        assert f"{labels.nunique()} of {len(labels)}" in texts
    assert f"expected among {fewest} of them" in outputs["caption"].read_text()


def test_histogram_counts_components_and_classes(tmp_path, outputs, drawn):
    tables = bases()
    fig4(**write_bases(tmp_path, {"demo": tables}), variants=["demo"], **outputs)
    best = tables[0]["alignment"].dropna()
    for series, values in (("sae", best), ("classes", tables[3]["alignment"])):
        rows = numbers_of(outputs, "c", series)
        assert rows["count"].sum() == len(values)
        assert rows["median"].iloc[0] == pytest.approx(values.median(), rel=1e-4)


def test_caption_states_the_numbers(tmp_path, outputs, drawn):
    tables = bases()
    fig4(**write_bases(tmp_path, {"demo": tables}), variants=["demo"], skipped=["bare", "b"], **outputs)
    caption = outputs["caption"].read_text()
    n, firing = int((tables[0]["label"] != "").sum()), int((tables[0]["n_active"] > 0).sum())
    assert f"{n} components that fire often enough, of 80 ({firing} ever fire)" in caption
    assert "(20 classes)" in caption
    assert "Left out, without an SAE: bare, b." in caption
    assert "- Components that fire more strongly are clearer: **holds**" in caption


def test_labels_in_all_and_in_one(tmp_path, outputs, drawn_figure):
    names = [f"variant_with_a_long_name_nr_00{i}" for i in range(5)]
    variants = {name: bases(10 * i) for i, name in enumerate(names)}
    extra = variants[names[0]][0]
    extra["label"] = extra["label"].mask(extra["label"] == "word 3", "unheard of")
    fig4(**write_bases(tmp_path, variants), variants=names, random_weights=[True] * 5, **outputs)
    labels = {name: set(t[0]["label"]) - {""} for name, t in variants.items()}
    rows = numbers_of(outputs, "b").set_index("variant")
    assert (rows["n_all"] == len(set.intersection(*labels.values()))).all()
    assert rows["n_only"].to_list() == [1, 0, 0, 0, 0]
    check_inside(drawn_figure())
    assert f"for {names[4]} on the train split" in outputs["caption"].read_text()


def test_many_points_become_a_density(tmp_path, outputs, drawn_figure):
    tables = bases(m=2 * MANY)
    fig4(**write_bases(tmp_path, {"demo": tables}), variants=["demo"], **outputs)
    (density,) = drawn_figure().axes[0].collections
    assert density.get_array().sum() == (tables[0]["label"] != "").sum()


@pytest.mark.parametrize("variants", [["none"], ["none", "neither"]])
@pytest.mark.parametrize("classes", [0, 1])
def test_nothing_has_a_name(tmp_path, outputs, drawn_figure, variants, classes):
    tables = [*[components_table(30, named=False)] * 3, alignments_table(classes)]
    paths = write_bases(tmp_path, dict.fromkeys(variants, tables))
    fig4(**paths, variants=variants, **outputs)
    figure = drawn_figure()
    check_inside(figure)
    texts = [t.get_text() for t in figure.findobj(lambda o: hasattr(o, "get_text"))]
    assert "no component with a clarity" in texts
    assert "0 of 0" in texts


def test_one_component(tmp_path, outputs, drawn_figure):
    tables = bases()
    tables[0] = tables[0][tables[0]["label"] != ""].head(1)
    fig4(**write_bases(tmp_path, {"one": tables}), variants=["one"], **outputs)
    check_inside(drawn_figure())


def test_variants_named_from_different_vocabularies_are_not_compared(tmp_path, outputs):
    paths = write_bases(tmp_path, {"one": bases(), "two": bases(3)})
    for name in paths:
        spec = ALIGNMENTS if name == "alignments" else COMPONENTS
        write_table(
            paths[name][1], read_table(paths[name][1], spec).frame, spec, {}, {"vocabulary": "w" * 64}
        )
    with pytest.raises(RelianceError, match="named from one vocabulary"):
        fig4(**paths, variants=["one", "two"], **outputs)


def test_other_vocabularies_are_refused(tmp_path, outputs):
    paths = write_bases(tmp_path, {"demo": bases()})
    write_components(paths["pca"][0], components_table(), vocabulary="w" * 64)
    with pytest.raises(RelianceError, match="vocabulary"):
        fig4(**paths, variants=["demo"], **outputs)


def test_same_input_same_bytes(tmp_path, outputs):
    paths = write_bases(tmp_path, {"demo": bases(m=2 * MANY)})
    again = {key: tmp_path / "again" / path.name for key, path in outputs.items()}
    for files in (outputs, again):
        fig4(**paths, variants=["demo"], **files)
    assert all(path.read_bytes() == again[key].read_bytes() for key, path in outputs.items())
