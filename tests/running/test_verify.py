"""Every kind of artifact, whole and damaged."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from reliance.__main__ import app
from reliance.base.artifacts import TableSpec, derived_stamp, hash_file, write_json, write_meta, write_table
from reliance.base.errors import RelianceError
from reliance.base.rows import Layout, PartRange, PartWriter, write_manifest
from reliance.base.stamps import read_stamp
from reliance.encoders.head import Head, save_head
from reliance.running.verify import Outcome, verify
from reliance.units.sae.files import Sae, save_sae

THING = TableSpec("thing", 1, (("a", "int64"),))


def command(arguments):
    done = CliRunner().invoke(app, ["verify", *arguments])
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.exit_code


def part(folder: Path, inputs: dict[str, str]) -> Path:
    writer = PartWriter(folder, "codes", PartRange(0, 6), {"values": Layout((2,), "float16")}, {}, inputs)
    writer.append({"values": np.arange(12, dtype=np.float16).reshape(6, 2)})
    writer.finish()
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A variant `mine` made from an encoder, and another variant that is nobody's input."""
    root = tmp_path / "results"
    encoder, mine = root / "encoders/e", root / "mine"
    weights = write_json(encoder / "weights.json", {"sha256": "ab"}, derived_stamp("weights", 1, {}, {}))
    head = Head(np.ones(2, np.float32), np.zeros(2, np.float32), np.eye(2, dtype=np.float32), 1e-5)
    save_head(encoder / "head.safetensors", head, weights.id)
    sae = Sae(
        np.eye(2, dtype=np.float32),
        np.zeros(2, np.float32),
        np.eye(2, dtype=np.float32),
        np.zeros(2, np.float32),
        k=1,
    )
    mine.mkdir()
    stamp = save_sae(mine / "sae.safetensors", sae, {}, {"encoder": weights.id})
    folder = part(mine / "codes/part-0-of-1.zarr", {"sae": stamp.id})
    codes = write_manifest(mine / "codes/manifest.json", [folder], "codes")
    table = write_table(mine / "t.parquet", pd.DataFrame({"a": range(100)}), THING, {}, {"codes": codes.id})
    (mine / "fig.pdf").write_bytes(b"%PDF")
    write_meta(mine / "fig.pdf", derived_stamp("fig", 1, {}, {"table": table.id}))
    write_table(root / "other/t.parquet", pd.DataFrame({"a": [1]}), THING, {"x": 1}, {})
    return root


def names(outcome, results):
    return {str(path.relative_to(results)) for path in outcome.checked}


def test_what_belongs_to_a_variant_is_checked(results):
    outcome = verify(results, "mine")
    assert not outcome.broken and not outcome.orphans
    assert names(outcome, results) == {
        "encoders/e/weights.json",
        "mine/sae.safetensors",
        "mine/codes/manifest.json",
        "mine/t.parquet",
        "mine/fig.pdf",
    }


def flip(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "a byte of a table": ("mine/t.parquet", lambda p: flip(p, 30)),
    "a short table": ("mine/t.parquet", lambda p: p.write_bytes(p.read_bytes()[:-20])),
    "a byte of tensors": ("mine/sae.safetensors", flip),
    "a chunk": ("mine/codes/part-0-of-1.zarr", lambda p: flip(next(p.glob("values/c/0/*")))),
    "a lost chunk": ("mine/codes/part-0-of-1.zarr", lambda p: next(p.glob("values/c/0/*")).unlink()),
    "a lost part": ("mine/codes/part-0-of-1.zarr", shutil.rmtree),
    "an edited number": (
        "encoders/e/weights.json",
        lambda p: p.write_text(p.read_text().replace('"ab"', '"ac"')),
    ),
    "a figure": ("mine/fig.pdf", flip),
    "a lost figure": ("mine/fig.pdf", Path.unlink),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_named(results, damage, capsys):
    name, spoil = DAMAGES[damage]
    spoil(results / name)
    assert command(["mine", "--results", str(results)]) == 1
    error = capsys.readouterr().err
    assert f"ERROR {results / name}" in error
    assert "next:" in error
    assert "Traceback" not in error


def test_a_forged_stamp_is_found(results):
    path = results / "encoders/e/weights.json"
    record = json.loads(path.read_text())
    record["reliance"]["params"] = {"m": 5}
    path.write_text(json.dumps({key: value for key, value in record.items() if key != "checksum"}))
    assert [error.where for error in verify(results, "mine").broken] == [str(path)]


def test_what_is_out_of_date_is_no_success(results, capsys):
    (results / "encoders/e/weights.json").unlink()
    assert command(["mine", "--results", str(results)]) == 1
    said = capsys.readouterr()
    assert "note: encoder is not here any more, or was rebuilt since: " in said.err
    assert "sae.safetensors made from it" in said.err
    assert "whole, but 1 out of date" in said.out and "next: snakemake --cores 2 results/mine/" in said.out


def test_an_input_that_is_named_by_its_path_is_missed_though_another_is_the_same(results):
    """checked.json of a page, which guarded.json is equal to."""
    stamp = read_stamp(results / "mine/t.parquet")
    write_meta(results / "mine/fig.pdf", derived_stamp("fig", 1, {}, {"results/mine/u.parquet": stamp.id}))
    outcome = verify(results, "mine")
    assert [path.name for path in outcome.stale] == ["fig.pdf"]
    assert outcome.verdict() == "whole, but 1 out of date"


def test_notes_are_one_line_for_an_input():
    made = [(Path(f"results/mine/{i}.pdf"), "index") for i in range(9)]
    outcome = Outcome([], [], [*made, (Path("results/mine/report.html"), "index")])
    (note,) = outcome.notes()
    assert note.startswith("index is not here") and "and 7 more were made from it" in note
    assert outcome.verdict() == "whole, but 10 out of date, report.html among them"


def test_a_variant_that_there_is_not_is_told_without_folders_of_others(results):
    with pytest.raises(RelianceError) as caught:
        verify(results, "mina")
    assert "mine" in caught.value.allowed and "encoders" not in caught.value.allowed


def test_an_input_may_be_named_by_the_hash_of_its_file(results):
    inputs = {"weights": hash_file(results / "encoders/e/weights.json")}
    write_table(results / "mine/u.parquet", pd.DataFrame({"a": [1]}), THING, {"x": 2}, inputs)
    assert not verify(results, "mine").orphans


def test_a_file_without_a_readable_stamp_is_broken(results):
    (results / "mine/odd.parquet").write_bytes(b"nonsense")
    assert [error.where for error in verify(results, "mine").broken] == [str(results / "mine/odd.parquet")]


def test_an_unknown_variant_is_an_error(results, capsys):
    with pytest.raises(RelianceError, match="no such folder"):
        verify(results, "your")
    assert command(["your", "--results", str(results)]) == 1
    assert "allowed: mine, other" in capsys.readouterr().err


def test_unfinished_work_is_left_alone(results):
    part(results / "mine/codes/.part-0-of-1.zarr.partial-abc", {})
    (results / "mine/.t.parquet.123.tmp.parquet").write_bytes(b"half")
    assert not verify(results, "mine").broken
