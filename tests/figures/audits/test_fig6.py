"""Figs. 6 and 15 from made tables."""

import numpy as np
import pandas as pd
import pytest

from reliance.audits.schema import ACCURACIES
from reliance.base.artifacts import write_table
from reliance.base.errors import RelianceError
from reliance.figures.audits.accuracies import limits
from reliance.figures.audits.fig6 import fig6 as fig6_
from reliance.figures.audits.fig15 import fig15 as fig15_

from ..audit_examples import AUDITED, PAPER, accuracies_of, relevances_of, write_audit
from ..jobs import as_job
from ..pages import check_inside
from ..pictures import HOSTILE

fig6 = as_job(fig6_)
fig15 = as_job(fig15_)


def draw6(folder, outputs, accuracies=None, **about):
    paths = write_audit(folder, accuracies_of(PAPER) if accuracies is None else accuracies, **about)
    fig6(**paths, **outputs, variants=["whylesion"], dataset_root=str(folder / "images"))
    return outputs["caption"].read_text()


def draw15(folder, outputs, accuracies=None, **about):
    paths = write_audit(folder, accuracies_of(PAPER) if accuracies is None else accuracies, **about)
    files = {name: paths[name] for name in ("relevances", "accuracies", "audit")}
    fig15(**files, **outputs, variants=["whylesion"])
    return outputs["caption"].read_text()


def test_numbers_behind_figure_6(tmp_path, outputs, drawn_figure):
    draw6(tmp_path, outputs)
    numbers = pd.read_csv(outputs["csv"])
    a, b = numbers[numbers["panel"] == "a"], numbers[numbers["panel"] == "b"]
    assert len(a) == 2 * 8
    own = a[a["component"] == AUDITED].set_index("probe")
    frame = relevances_of().query("component == @AUDITED and not positive").set_index("probe")
    assert own.loc["plain", "share"] == pytest.approx(frame.loc["plain", "share"], rel=1e-5)
    assert own.loc["robust", "share"] == pytest.approx(-frame.loc["robust", "share"], rel=1e-5)
    assert own["audited"].all()
    assert set(b["alpha"]) == {0.0, 0.5}
    row = b[(b["probe"] == "plain") & (b["class"] == "melanoma") & (b["change"] == "increased")].iloc[0]
    assert row["accuracy"] == 0.599
    assert row["sem"] == pytest.approx(np.sqrt(0.599 * 0.401 / 907), rel=1e-5)
    check_inside(drawn_figure())


def test_the_audited_component_is_shown_even_if_it_is_not_among_the_first(tmp_path, outputs, drawn):
    draw6(tmp_path, outputs, component=12, rank=13, label="far down")
    assert "#12" in drawn()
    assert "#6" in drawn()
    assert "#7" not in drawn()


def test_caption_of_figure_6(tmp_path, outputs, drawn):
    caption = draw6(tmp_path, outputs)
    assert "number 4 by relevance: of the first 5" in caption
    assert "cut at white: red × 0.8 and red × 2." in caption
    assert "**holds** for melanoma (80.5 to 59.9 %" in caption
    assert "red × 2" in drawn()
    assert "3629 images" in caption
    assert "which was asked for" in draw6(tmp_path / "b", outputs, given=True)
    moved = draw6(tmp_path / "c", outputs, shift=-0.39)
    assert "Embeddings do not move along its direction (cosine −0.39" in moved


def test_a_given_classifier_learned_from_nothing_here(tmp_path, outputs, drawn):
    caption = draw6(tmp_path, outputs, probe_given="head.npz")
    assert "in head.npz, which is not trained here, tells melanoma from not melanoma; the robust" in caption
    assert "learns from 3629 and 4000 images" in caption
    assert any("that the robust probe learned from" in text for text in drawn())


def test_captions_say_why_there_is_no_verdict(tmp_path, outputs):
    useless = accuracies_of({probe: ([1.0] * 3, [0.0] * 3) for probe in PAPER}, n=(23, 3))
    for draw in (draw6, draw15):
        caption = draw(tmp_path / draw.__name__, outputs, useless)
        assert "This classifier does not tell melanoma from not melanoma" in caption
        assert "does not hold" not in caption


def test_numbers_and_caption_of_figure_15(tmp_path, outputs, drawn, drawn_figure):
    caption = draw15(tmp_path, outputs)
    numbers = pd.read_csv(outputs["csv"])
    assert len(numbers) == 4 * 2 * 3
    assert {"plain (α = 0)", "α = 0.25", "α = 0.5", "α = 1"} <= set(drawn())
    assert "The stronger the augmentation, the smaller the fall" in caption
    check_inside(drawn_figure())


def test_an_axis_of_percent_ends_at_100():
    flat = accuracies_of({key: ([1, 1, 1], [0.98, 1, 1]) for key in PAPER})
    low, high = limits(flat)
    assert 90 < low < 98
    assert 100 < high < 101
    low, high = limits(accuracies_of(PAPER))
    assert low < 59.9 - 1.6
    assert 86 < high < 90


def test_without_an_opposite(tmp_path, outputs, drawn):
    about = {"transforms": {"increased": {"channel": "all", "delta": 0.5}}}
    frame = accuracies_of(PAPER, ("none", "increased"))
    for draw in (draw6, draw15):
        caption = draw(tmp_path / draw.__name__, outputs, frame, **about)
        assert "cut at white: brightness × 0.5." in caption
        assert "reduced" not in drawn()
        assert "brightness × 0.5" in drawn()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_inside(tmp_path, outputs, drawn_figure, text):
    for draw in (draw6, draw15):
        draw(tmp_path / draw.__name__, outputs, label=text, names=(text, f"not {text}"))
        check_inside(drawn_figure())


def test_same_input_same_bytes(tmp_path, outputs):
    draw6(tmp_path / "a", outputs)
    first = {key: path.read_bytes() for key, path in outputs.items()}
    draw6(tmp_path / "b", outputs)
    assert all(path.read_bytes() == first[key] for key, path in outputs.items())


def test_images_that_are_gone(tmp_path, outputs, drawn_figure):
    paths = write_audit(tmp_path, accuracies_of(PAPER))
    (tmp_path / "images/train/x/000.png").unlink()
    fig6(**paths, **outputs, variants=["whylesion"], dataset_root=str(tmp_path / "images"))
    assert "could not be drawn" in outputs["caption"].read_text()


def test_another_audits_accuracies_are_refused(tmp_path, outputs):
    paths = write_audit(tmp_path, accuracies_of(PAPER))
    write_table(paths["accuracies"], accuracies_of(PAPER), ACCURACIES, {"x": 1}, {"probe": "p" * 64})
    with pytest.raises(RelianceError, match="same accuracies"):
        fig6(**paths, **outputs, variants=["whylesion"], dataset_root=str(tmp_path / "images"))
