"""The page of a comparison's dictionaries: ranks, the recommendation, what it shows."""

from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest

from reliance.report import dictionaries
from reliance.report.dictionary_page import COLUMNS, found_best, on_front, page_of, ranks, recommendation


def frame() -> pd.DataFrame:
    values = {
        "variant": ["plain", "batch", "<b>odd</b>"],
        "kind": ["top_k", "batch_top_k", "imported"],
        "trained": True,
        "latents": [100, 100, 50],
        "l0": [5.0, 5.0, 9.0],
        "explained_variance": [0.8, 0.9, 0.5],
        "silent": [0.1, 0.1, 0.3],
        "clarity": [0.4, 0.5, 0.2],
        "monosemanticity": [0.3, 0.2, 0.1],
        "concepts": [40, 50, 10],
        "found_again": [0.5, 0.6, 0.1],
        "kept": np.nan,
        "sure": np.nan,
        "absorption": np.nan,
        "faithful": np.nan,
        "universal": np.nan,
        "purity": np.nan,
        "recall": [1.0, np.nan, np.nan],
        "precision": [0.9, np.nan, np.nan],
    }
    return pd.DataFrame(values)


def test_ranks_are_over_columns_that_all_have() -> None:
    found = ranks(frame())
    assert found.tolist() == pytest.approx(
        [(1.5 + 2 + 1.5 + 2 + 1 + 2 + 2) / 7, (1.5 + 1 + 1.5 + 1 + 2 + 1 + 1) / 7, 3]
    )


def test_the_recommendation_says_where_it_leads_and_where_not() -> None:
    text = recommendation(frame())
    assert text.startswith("batch (batch_top_k) has the best mean rank, 1.29 of 3: it leads in")
    leads, _, last = text.partition("is last in")
    assert "explained" in leads
    assert not last
    worst = frame().assign(monosemanticity=[0.3, 0.05, 0.1])
    assert "is last in alike" in recommendation(worst)
    assert text.endswith("Close to it: plain.") == (ranks(frame())[0] - ranks(frame())[1] < 0.5)


def test_what_finds_planted_failures_best_is_said_where_there_are_any() -> None:
    assert found_best(frame()) == ""
    known = frame().assign(recall=[0.5, 0.75, 1.0], precision=[0.9, 1.0, 0.75])
    assert found_best(known) == (
        "In this run planted failures are found best with batch (batch_top_k): recall 0.75, precision 1.00; "
        "the mean of the others is recall 0.75 and precision 0.82."
    )
    page = page_of(known.assign(recall=[0.5, 0.7, 1.0]))
    assert "found best with &lt;b&gt;odd&lt;/b&gt; (imported)" in page


def test_dictionaries_that_nobody_trained_are_shown_and_not_ranked() -> None:
    other = frame().iloc[:1].assign(kind="pca", trained=False, explained_variance=0.99, clarity=np.nan)
    page = page_of(pd.concat([frame(), other], ignore_index=True))
    assert ">pca<" in page and page.count("<circle") == len(frame()), "in the table, not in the plot"
    assert "<tr class=other>" in page
    assert "<td class=best>0.900</td>" in page, "the best of the trained ones is marked"
    assert "Recommended:</b> batch" in page


@pytest.mark.parametrize("seed", range(4))
def test_the_front_is_what_nothing_beats(seed: int) -> None:
    rng = np.random.default_rng(seed)
    l0, explained = rng.integers(1, 5, 9).astype(float), rng.integers(0, 6, 9) / 5
    found = on_front(l0, explained)
    for i in range(9):
        beaten = [
            l0[j] <= l0[i] and explained[j] >= explained[i] and (l0[j], explained[j]) != (l0[i], explained[i])
            for j in range(9)
        ]
        assert found[i] == (not any(beaten))


def test_the_page_shows_every_dictionary_and_escapes_names() -> None:
    page = page_of(frame())
    assert page.count("<tr>") == 4
    assert "<b>odd" not in page
    assert "&lt;b&gt;odd" in page
    assert "<td class=best>0.900</td>" in page
    for name, column in COLUMNS.items():
        assert (f">{column.title}</th>" in page) == frame()[name].notna().any()


def test_columns_that_nobody_has_are_left_out() -> None:
    page = page_of(frame().assign(recall=np.nan, precision=np.nan))
    assert "planted failures" not in page


def test_silent_latents_are_counted_in_the_table_of_components(monkeypatch: pytest.MonkeyPatch) -> None:
    components = pd.DataFrame(
        {"component": range(4), "n_active": [3, 0, 0, 1], "label": ["a", "", "", "b"], "clarity": 0.5}
    )
    quality = {"l0": 2.0, "explained_variance": 0.5}
    monkeypatch.setattr(dictionaries, "read_json", lambda *_: (quality, None))
    monkeypatch.setattr(dictionaries, "read_table", lambda *_: (components, None))
    for name in ("open_codes", "Embeddings"):
        monkeypatch.setattr(dictionaries, name, MagicMock(return_value=MagicMock(rows=5)))
    monkeypatch.setattr(dictionaries, "read_rows", lambda *_: None)
    monkeypatch.setattr(dictionaries, "monosemanticity", lambda *_: np.ones(4))
    one = [Path("x")]
    stability = pd.DataFrame({"component": range(4), "found_again": 1.0, "universal": np.nan})
    components["confidence"] = 1.0
    row = dictionaries._row(dictionaries.Files(one, one, one, one, one, Path("s")), 0, stability, 5)
    assert row["silent"] == 0.5
