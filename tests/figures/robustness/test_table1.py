import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import read_json
from reliance.figures.robustness.table1 import table1 as table1_

from ..examples import ALL_KINDS, PLANTS, table_of
from ..jobs import as_job

table1 = as_job(table1_)


def run(write, tmp_path, frames, **settings):
    files = {"csv": tmp_path / "table1.csv", "md": tmp_path / "table1.md"}
    table1(robustness=write(frames), variants=list(frames), **files, **settings)
    return pd.read_csv(files["csv"], keep_default_na=False), files["md"].read_text(encoding="utf-8")


def test_paired_differences_by_hand(write, tmp_path):
    frame = table_of({"compound": 2})
    areas = {"short": [0.5, 0.7], "both": [0.6, 0.9]}
    for probe, values in areas.items():
        frame.loc[frame["probe"] == probe, "spurious_auc"] = values
    numbers, text = run(write, tmp_path, {"demo": frame})
    row = numbers[numbers["prompts"] == "both"].iloc[0]
    assert float(row["difference"]) == pytest.approx(0.15)
    assert float(row["sem"]) == pytest.approx(0.05)  # std(ddof=1) of .1 and .2, over sqrt(2)
    assert "+0.150 ± 0.050" in text
    assert "| Polysemous words | 0 | no case | no case | no case |" in text


def test_one_case_has_no_sem(write, tmp_path):
    numbers, text = run(write, tmp_path, {"demo": table_of({"compound": 1})})
    assert (numbers["sem"] == "").all()
    assert "no SEM" in text


def test_pairing_is_tighter_than_two_means(write, tmp_path):
    frame = table_of({"polysemous": 30}, width=0.1)
    numbers, _ = run(write, tmp_path, {"demo": frame})
    both = numbers[numbers["prompts"] == "both"].iloc[0]
    spread = frame.loc[frame["probe"] == "short", "spurious_auc"].std() / np.sqrt(30)
    assert float(both["sem"]) < spread / 1.5


def test_planted_modes_have_rows_of_their_own(write, tmp_path):
    _, text = run(write, tmp_path, {"demo": table_of(ALL_KINDS, PLANTS)})
    assert "| Spurious correlations (planted, captions) | 7 |" in text
    assert "| Spurious correlations (planted, labels only) | 6 |" in text
    assert "| Spurious correlations | 9 |" in text


def test_several_variants_have_a_table_each_and_safe_names(write, tmp_path):
    frames = {"a|b": table_of(ALL_KINDS), "B": table_of(ALL_KINDS, seed=1)}
    _, text = run(write, tmp_path, frames, random_weights=[True, False])
    assert "| a\\|b | Cases |" in text
    assert "| B | Cases |" in text
    assert "Random weights: a|b" in text


def test_skipped_lists_are_said(write, tmp_path):
    _, text = run(write, tmp_path, {"demo": table_of(ALL_KINDS)}, skipped_lists=["spurious_imagenet"])
    assert "Lists without a folder or tables were skipped: spurious_imagenet." in text


def test_both_files_carry_the_same_stamp(write, tmp_path):
    run(write, tmp_path, {"demo": table_of(ALL_KINDS)})
    assert (
        read_json(f"{tmp_path / 'table1.csv'}.meta.json", "table1", 1)[1]
        == read_json(f"{tmp_path / 'table1.md'}.meta.json", "table1", 1)[1]
    )
