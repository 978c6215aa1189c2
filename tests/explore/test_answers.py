import ast
import json
from pathlib import Path

import numpy as np
import pytest

import reliance
from reliance.attribution.schema import ATTRIBUTIONS
from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.explore.answers import Answer
from reliance.explore.lookup import rows_where
from reliance.explore.search import Filters
from reliance.failures.schema import EXPECTATIONS
from reliance.naming.names import align, read_vocabulary

from .conftest import CASE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def study(asked):
    return reliance.open(asked.home)


def test_rows_are_looked_up_as_they_are_in_the_table(asked):
    path = asked.files["top_samples"]
    frame = read_table(path, TOP_SAMPLES).frame
    found, _ = rows_where(path, TOP_SAMPLES, {"component": [3, 17], "rank": [0, 1]})
    expected = frame[frame["component"].isin([3, 17]) & (frame["rank"] < 2)].reset_index(drop=True)
    assert found.equals(expected)
    nothing, _ = rows_where(path, TOP_SAMPLES, {"component": [10**6]})
    assert nothing.empty and list(nothing) == list(frame)


def test_a_histogram_counts_where_a_unit_fires(asked, study):
    toy = asked.toy
    for component in (0, 14, 21):
        card = study.component(component).data
        values = toy.values[(toy.indices == component) & (toy.values > 0)].astype(np.float64)
        expected, _ = np.histogram(-values, bins=-np.array(card.edges[::-1]))  # bins have their upper ends
        assert card.histogram == expected[::-1].tolist()


def test_the_classes_of_a_unit_are_those_that_lose_most_without_it(asked, study):
    frame = read_table(asked.files["expectations"], EXPECTATIONS).frame
    whole = frame[frame["component"] < 0].set_index("class_id")
    rows = read_table(asked.attributions, ATTRIBUTIONS).frame
    for component in (0, 14, 21):
        sums = rows[rows["component"] == component].groupby("class_id")["ablation"].sum()
        effect = (sums / whole["n"]).dropna().sort_values(ascending=False)
        effect = effect[effect > 0]
        drives = study.component(component).data.drives
        assert [entry.class_id for entry in drives] == effect.index.tolist()
        assert [e.share for e in drives] == pytest.approx((effect / whole["y_mean"])[effect.index].tolist())


def test_names_are_aligned_as_the_pipeline_aligns(asked, study):
    words = read_vocabulary(asked.files["vocabulary"])[0]
    card = study.component(14).data
    mean = study.views.mean[14].astype(np.float64)[None]
    for name in card.names:
        place = words.names.tolist().index(name.text)
        assert name.score == pytest.approx(align(mean, words.vectors[[place]], words.empty)[0], abs=1e-6)


def test_words_push_by_the_projected_direction(asked, study):
    head, words = asked.toy.head, read_vocabulary(asked.files["words"])[0]
    v = asked.toy.decoder[14]
    lens = ((v - v.mean()) * head.ln_weight) @ head.proj
    expected = {
        str(n): float(t @ lens - words.empty @ lens) for n, t in zip(words.names, words.vectors, strict=True)
    }
    card = study.component(14).data
    assert {w.text: w.score for w in card.words} == pytest.approx(expected, abs=1e-6)
    assert card.against == card.words[::-1]


def test_neighbours_by_direction_and_by_firing(asked, study):
    toy, card = asked.toy, study.component(14).data
    cosine = toy.decoder @ toy.decoder[14]
    cosine[14] = -2
    assert card.along[0].component == int(cosine.argmax())
    shown = [image_id for image_id, _ in study.component(14, examples=100).data.examples]
    for near in card.beside:
        fires = (toy.indices[shown] == near.component) & (toy.values[shown] > 0)
        assert near.score == pytest.approx(fires.any(1).mean())


def test_the_strongest_images_of_any_split_are_those_of_top_samples(study):
    from reliance.explore.unit import strongest_on

    assert strongest_on(study, 14, "train", 20) == study.component(14).data.examples


def test_units_are_found_by_a_text_of_the_vocabulary(study):
    found = study.find("label one; label two", top=3)
    assert [entry.text for entry in found.data] == ["label one", "label two"]
    scores = [hit.alignment for hit in found.data[0].hits]
    assert scores == sorted(scores, reverse=True)
    least = study.find("label one", top=40, least=True).data[0].hits
    assert [hit.about.component for hit in least[-3:]][::-1] == [
        h.about.component for h in found.data[0].hits
    ]
    assert found.data[0].named == []


def test_units_are_found_by_their_names(study):
    found = study.find("label one", top=5)
    assert found.data[0].named == []
    assert study.find("", top=5).data[0].hits[0].about.name.startswith("label")


def test_filters_leave_out_what_they_say(study):
    found = study.find("label one", top=50, filters=Filters(min_activation=20)).data[0].hits
    assert {hit.about.component for hit in found} == set(range(20, 29)) | {29} - {29}
    assert study.find("label one", filters=Filters(min_clarity=0.9)).data[0].hits == []


def test_images_are_found_by_a_class_and_by_an_image(asked, study):
    z = asked.toy.x[:, :0]
    assert len(z) == asked.toy.rows
    found = study.images(5, split="train", top=5).data
    scores = [hit.score for hit in found]
    assert scores == sorted(scores, reverse=True)
    own = study.images(image=("train", found[0].image_id), split="train", top=3).data
    assert own[0].image_id == found[0].image_id and own[0].score == pytest.approx(1, abs=1e-5)
    with pytest.raises(RelianceError, match="neither"):
        study.images()


def test_cases_and_classes(study):
    (case,) = study.cases().data
    assert (case.failure_id, case.component, case.class_name) == (CASE[0], CASE[6], "crane")
    assert len(case.images) == 2 and study.cases("compound").data == []
    assert [card.cases[0].failure_id for card in study.classes().data if card.cases] == [CASE[0]]
    card = study.classes(5).data[0]
    means = [entry.effect for entry in card.expected]
    assert (
        means == sorted(means, reverse=True)
        and card.n == 45 - (~study.embeddings("train").read("valid")[90:135]).sum()
    )
    with pytest.raises(RelianceError, match="no 4"):
        study.classes(4)


@pytest.mark.parametrize("component", [-1, 30])
def test_a_number_that_is_no_unit_is_told(study, component):
    with pytest.raises(RelianceError, match="0 to 29"):
        study.component(component)


def test_every_answer_shows_itself_and_escapes_what_it_shows(study):
    answers = [study.component(14), study.find("<b>bold</b>"), study.images(5, split="train"), study.cases()]
    for answer in [*answers, study.classes(), study.classes(5)]:
        json.dumps(answer.record(), allow_nan=False)
        assert answer.text() and len(answer.table().columns) > 1
        page = answer.html()
        assert "default-src 'none'" in page and "<b>bold" not in page and "<script" not in page
        assert answer.figure() is not None


def test_the_notebook_of_the_documentation_runs(asked, monkeypatch):
    """Cell by cell, each with the answer that a notebook would show; it is stored without outputs."""
    cells = json.loads((ROOT / "docs/ask.ipynb").read_text())["cells"]
    monkeypatch.chdir(asked.results.parent)
    names: dict = {}
    shown = []
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            *before, last = ast.parse("".join(cell["source"])).body
            exec(compile(ast.Module(before, []), "ask.ipynb", "exec"), names)
            shown.append(eval(compile(ast.Expression(last.value), "ask.ipynb", "eval"), names))
    pages = [answer._repr_html_() for answer in shown if isinstance(answer, Answer)]
    assert len(pages) == 5 and CASE[0] in pages[0]
