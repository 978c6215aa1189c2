"""Two results folders are compared by value, wherever the files lie."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from safetensors.numpy import save_file

from reliance.base.artifacts import TableSpec, derived_stamp, write_json, write_table

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import same_results

SPEC = TableSpec("toy", 1, (("component", "int32"), ("label", "string"), ("mean", "float32")))
SITE = {"plain": "", "moved": "class_token/"}


def build(folder: Path, *, site: str = "", inputs: str = "a", scale: float = 1.0) -> Path:
    frame = pd.DataFrame({"component": [0, 1], "label": ["x", "y"], "mean": [0.5, np.nan]})
    home = folder / "encoders" / "e" / site / "d"
    (home / "train").mkdir(parents=True)
    (folder / "demo").mkdir()
    write_table(folder / "demo" / "components.parquet", frame * 1, SPEC, {}, {"codes": inputs})
    text = frame.assign(mean=[0.25, 0.75 * scale]).to_csv(index=False)
    (folder / "demo" / "fig5.csv").write_text(text)
    (folder / "demo" / "fig5.csv.meta.json").write_text(json.dumps({"id": inputs}))
    (folder / "demo" / "fig5.caption.md").write_text("**Figure 5.** Words.\n")
    (folder / "demo" / "fig5.pdf").write_bytes(b"%PDF")
    write_json(
        folder / "demo" / "truth.json", {"recall": 0.5 * scale}, derived_stamp("t", 1, {}, {"a": inputs})
    )
    save_file({"weight": np.ones((2, 3), np.float32) * scale}, home / "probe.safetensors")
    group = zarr.create_group(home / "train" / "part-0-of-1.zarr")
    group.create_array("x", data=np.arange(6.0).reshape(3, 2))
    (folder / "logs").mkdir()
    (folder / "logs" / "a.log").write_text(inputs)
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = same_results.main(arguments)
    return code, capsys.readouterr().out


@pytest.mark.parametrize("site", ["", "class_token"])
def test_stamps_and_folders_do_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], site: str
) -> None:
    old, new = build(tmp_path / "old"), build(tmp_path / "new", site=site, inputs="b")
    code, text = said(capsys, str(old), str(new))
    assert (code, text) == (0, "7 compared, 0 differ in values, 0 remarks\n")


def test_values_that_differ_fail_by_how_much(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = build(tmp_path / "old"), build(tmp_path / "new", scale=1.001)
    code, text = said(capsys, str(old), str(new))
    assert code == 1
    for name in ("demo/fig5.csv: mean", "demo/truth.json: recall", "encoders/e/d/probe.safetensors: weight"):
        assert f"DIFFERS {name}" in text
    assert "(0.000999 relative)" in text
    code, text = said(capsys, str(old), str(new), "--rtol", "0.01")
    assert code == 1  # the bytes of a figure's CSV
    code, text = said(capsys, str(old), str(new), "--rtol", "0.01", "--only", "encoders")
    assert (code, text.splitlines()[-1]) == (0, "2 compared, 0 differ in values, 1 remarks")


def test_words_and_drawings_are_said_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = build(tmp_path / "old"), build(tmp_path / "new")
    (new / "demo" / "fig5.caption.md").write_text("**Figure 5.** Other words.\n")
    (new / "demo" / "fig5.pdf").write_bytes(b"%PDF2")
    (new / "demo" / "variant.json").write_text("{}")
    code, text = said(capsys, str(old), str(new))
    assert code == 0
    assert "+ **Figure 5.** Other words." in text
    assert "note    demo/fig5.pdf: drawn differently" in text
    assert "note    demo/variant.json: only in NEW" in text


def test_what_is_lost_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = build(tmp_path / "old"), build(tmp_path / "new")
    (new / "demo" / "components.parquet").unlink()
    group = zarr.open_group(new / "encoders/e/d/train/part-0-of-1.zarr")
    del group["x"]
    group.create_array("embedding", data=np.zeros((3, 1)))
    code, text = said(capsys, str(old), str(new))
    assert code == 1
    assert "DIFFERS demo/components.parquet: only in OLD" in text
    assert "DIFFERS encoders/e/d/train/part-0-of-1.zarr: only in OLD: x" in text
    assert "note    encoders/e/d/train/part-0-of-1.zarr: only in NEW: embedding" in text


def test_rows_in_another_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = build(tmp_path / "old"), build(tmp_path / "new")
    path = new / "demo" / "components.parquet"
    write_table(path, pd.read_parquet(path).iloc[::-1].fillna(np.nan), SPEC, {}, {})
    code, text = said(capsys, str(old), str(new))
    assert (code, text.count("DIFFERS")) == (1, 1)
    assert "components.parquet: the same rows in another order" in text


def test_a_pattern_says_where_files_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = build(tmp_path / "old"), build(tmp_path / "new")
    (new / "demo").rename(new / "shown")
    assert said(capsys, str(old), str(new))[0] == 1
    assert said(capsys, str(old), str(new), "--map", r"shown/(.+)=demo/\1")[0] == 0


def test_nothing_compared_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert said(capsys, str(tmp_path / "a"), str(tmp_path / "b"))[0] == 1


@pytest.mark.parametrize(("last", "expected"), [([3], 0), ([4], 1), ([3, 4], 1)])
def test_lists_in_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], last: list[int], expected: int
) -> None:
    for name, value in (("old", [3]), ("new", last)):
        (tmp_path / name).mkdir()
        frame = pd.DataFrame({"drawn": pd.Series([[1, 2], value], dtype=object)})
        frame.to_parquet(tmp_path / name / "rows.parquet")
    code, _ = said(capsys, str(tmp_path / "old"), str(tmp_path / "new"))
    assert code == expected
