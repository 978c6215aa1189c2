"""Parts and manifests: what is written comes back, after any kill, and nothing stale or damaged passes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import LocalStore

from reliance.base.artifacts import hash_arrays, read_json, write_json
from reliance.base.errors import RelianceError
from reliance.base.rows import Layout, PartRange, Parts, PartWriter, part_range, verify_part, write_manifest

LAYOUTS = {"x": Layout((3,), "float16"), "valid": Layout((), "bool")}
INPUTS = {"index": "1" * 64}


def rows(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Rows of a split as a reader should find them; some chunks are all zero."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float16)
    x[2:7] = 0
    return {"x": x, "valid": (x[:, 0] > -1) & (np.arange(n) > 4)}


def writer(path: Path, span: PartRange, **more: Any) -> PartWriter:
    given = {"layouts": LAYOUTS, "params": {"p": 1}, "inputs": INPUTS, "chunk_rows": 3, **more}
    return PartWriter(path, "embeddings", span, **given)


def fill(part: PartWriter, data: dict[str, np.ndarray], chunks: int | None = None) -> None:
    """Write the next chunks (all) of rows that are given for the whole split; row 5 is a bad one."""
    while part.next_row < part.rows.stop and chunks != 0:
        first, last = part.next_row, min(part.next_row + part.chunk_rows, part.rows.stop)
        bad = [(row, "broken") for row in range(first, last) if row == 5]
        part.append({name: array[first:last] for name, array in data.items()}, bad)
        chunks = None if chunks is None else chunks - 1


def split(folder: Path, data: dict[str, np.ndarray], parts: int, **more: Any) -> list[Path]:
    """All parts of a split, written."""
    folders = [folder / f"part-{i}-of-{parts}.zarr" for i in range(parts)]
    for i, path in enumerate(folders):
        part = writer(path, part_range(len(data["x"]), parts, i), **more)
        fill(part, data)
        part.finish()
    return folders


def opened(folder: Path, data: dict[str, np.ndarray], parts: int, **more: Any) -> Parts:
    write_manifest(folder / "manifest.json", split(folder, data, parts, **more), "embeddings")
    return Parts(folder / "manifest.json", "embeddings")


def raised(function: Callable[[], object]) -> RelianceError:
    with pytest.raises(RelianceError) as error:
        function()
    assert all(vars(error.value).values())
    return error.value


# ---- ranges and reading ------------------------------------------------------------------------------


@given(n=st.integers(0, 10**7), parts=st.integers(1, 50))
def test_the_parts_cover_every_row_once(n: int, parts: int) -> None:
    spans = [part_range(n, parts, i) for i in range(parts)]
    assert [spans[0].start, *(s.stop for s in spans)] == [*(s.start for s in spans), n]
    sizes = {s.stop - s.start for s in spans}
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("n", "parts"), [(20, 1), (20, 3), (9, 3), (2, 4), (1, 1), (0, 2)])
def test_a_split_comes_back_as_it_was(tmp_path: Path, n: int, parts: int) -> None:
    data = rows(n)
    found = opened(tmp_path, data, parts)
    assert (found.rows, found.stamp.params, found.stamp.inputs) == (n, {"p": 1}, INPUTS)
    assert found.excluded == ([(5, "broken")] if n > 5 else [])
    assert found.layouts == {"valid": Layout((), "|b1"), "x": Layout((3,), "<f2")}
    for name, array in data.items():
        back = found.read(name)
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)
    hidden = [name for name in os.listdir(tmp_path) if name.startswith(".")]
    assert hidden == []
    assert not list(tmp_path.rglob("progress*"))


@given(start=st.integers(0, 25), stop=st.none() | st.integers(0, 25), block=st.integers(1, 25))
@settings(deadline=None, max_examples=40)
def test_ranges_and_blocks_are_slices(shared: Parts, start: int, stop: int | None, block: int) -> None:
    for name, array in rows(20).items():
        np.testing.assert_array_equal(shared.read(name, start, stop), array[start:stop])
    assert np.concatenate([np.arange(*span) for span in shared.blocks(block)]).tolist() == list(range(20))
    assert max(span.stop - span.start for span in shared.blocks(block)) <= block


@given(chosen=st.lists(st.integers(0, 19), max_size=40), kind=st.sampled_from(["i4", "i8", "u2", "u8"]))
@settings(deadline=None, max_examples=60)
def test_taking_rows_is_fancy_indexing(shared: Parts, chosen: list[int], kind: str) -> None:
    for name, array in rows(20).items():
        index = np.array(chosen, dtype=kind)
        np.testing.assert_array_equal(shared.take(name, index), array[index])


def test_a_chunk_is_read_once_however_many_of_its_rows_are_taken(
    shared: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    get = LocalStore.get

    def counted(store: LocalStore, key: str, *arguments: Any, **keywords: Any) -> Any:
        read.append(f"{store.root.name}/{key}")
        return get(store, key, *arguments, **keywords)

    monkeypatch.setattr(LocalStore, "get", counted)
    shared.take("x", np.array([8, 0, 2, 7, 1, 0, 8]))
    assert sorted(read) == ["part-0-of-3.zarr/x/c/0/0", "part-1-of-3.zarr/x/c/0/0"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return opened(tmp_path_factory.mktemp("shared"), rows(20), 3)


@pytest.mark.parametrize("bad", [[-1], [20], [3, 99], np.array([True] * 20), [1.0], ["1"]])
def test_rows_that_are_not_there_cannot_be_taken(shared: Parts, bad: Any) -> None:
    with pytest.raises(IndexError):
        shared.take("x", np.asarray(bad))
    with pytest.raises(IndexError):
        shared.read("x", -1)


def test_parts_without_rows_are_passed_over(tmp_path: Path) -> None:
    found = opened(tmp_path, rows(2), 5)
    np.testing.assert_array_equal(found.take("x", np.array([1, 0, 1])), rows(2)["x"][[1, 0, 1]])


# ---- identity ----------------------------------------------------------------------------------------


def test_the_id_is_that_of_the_content(tmp_path: Path) -> None:
    def part(name: str, data: dict[str, np.ndarray], **more: Any) -> str:
        new = writer(tmp_path / name, PartRange(0, 8), **more)
        fill(new, data)
        return new.finish().id

    first = part("a", rows(8))
    assert part("b", rows(8), params={"p": 2}, inputs={}, fingerprint="x") == first
    other = rows(8)
    other["valid"][7] ^= True
    assert part("c", other) != first
    assert part("d", rows(8, seed=1)) != first
    shifted = writer(tmp_path / "shifted", PartRange(8, 16))
    fill(shifted, {name: np.concatenate([array, array]) for name, array in rows(8).items()})
    assert shifted.finish().id != first
    assert part("e", {"x": rows(8)["x"].astype(np.float32), "valid": rows(8)["valid"]}) == first


@pytest.mark.parametrize("parts", [1, 3])
def test_the_id_of_a_split_is_the_same_every_time(tmp_path: Path, parts: int) -> None:
    ids = [opened(tmp_path / name, rows(20), parts).stamp.id for name in "ab"]
    assert ids[0] == ids[1] != opened(tmp_path / "c", rows(20, seed=1), parts).stamp.id


@pytest.mark.parametrize("chunk", range(4))
def test_a_flipped_byte_is_found(tmp_path: Path, chunk: int) -> None:
    (folder,) = split(tmp_path, rows(12), 1)
    assert verify_part(folder)
    for file in (folder / "x" / "c" / str(chunk) / "0", folder / "valid" / "c" / str(chunk)):
        data = bytearray(file.read_bytes())
        data[1] ^= 1
        file.write_bytes(data)
        assert not verify_part(folder)
        data[1] ^= 1
        file.write_bytes(data)
        assert verify_part(folder)


# ---- a job that is killed ----------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the end of the process: nobody catches it."""


@pytest.mark.parametrize("done", range(5))
def test_a_killed_job_goes_on_where_it_stopped(tmp_path: Path, done: int) -> None:
    span, data = PartRange(4, 17), rows(20)
    whole = writer(tmp_path / "whole.zarr", span)
    fill(whole, data)
    stamp = whole.finish()
    fill(writer(tmp_path / "part.zarr", span), data, done)
    again = writer(tmp_path / "part.zarr", span)
    assert again.next_row == min(4 + 3 * done, 17)
    fill(again, data)
    assert again.finish() == stamp
    assert verify_part(tmp_path / "part.zarr")
    assert sorted(os.listdir(tmp_path)) == ["part.zarr", "whole.zarr"]
    write_json(tmp_path / "x.json", {}, stamp)


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")  # of zarr, cut off in the middle
@pytest.mark.parametrize("step", [*range(1, 105, 4), *range(105, 126)])
def test_a_kill_at_any_moment_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The process ends at its n-th call that changes files; then it is run again."""
    data, span, left = rows(9), PartRange(0, 9), [step]

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return function(*arguments, **keywords)

        return call

    def work() -> str:
        part = writer(tmp_path / "part.zarr", span)
        fill(part, data)
        return part.finish().id

    fill(fresh := writer(tmp_path / "whole.zarr", span), data)
    expected = fresh.finish().id
    with monkeypatch.context() as patch:
        for name in ("rename", "replace", "unlink", "write_text", "mkdir", "write_bytes", "open"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        for name in ("replace", "rename", "mkdir", "rmdir", "unlink"):
            patch.setattr(os, name, dying(getattr(os, name)))
        patch.setattr(shutil, "rmtree", dying(shutil.rmtree))
        patch.setattr("reliance.base.rows.hash_arrays", dying(hash_arrays))
        try:
            first = work()
        except Killed:
            first = expected
    assert work() == first == expected
    assert verify_part(tmp_path / "part.zarr")
    assert sorted(os.listdir(tmp_path)) == ["part.zarr", "whole.zarr"]


KILL = """
import os, signal, sys
import numpy as np
import reliance.base.rows as stored
sys.path.insert(0, sys.argv[2])
from test_rows import fill, rows, writer
part = writer(sys.argv[1], stored.PartRange(0, 9))
fill(part, rows(9), 1)
stored.hash_arrays = lambda _: os.kill(os.getpid(), signal.SIGKILL)
fill(part, rows(9), 1)
"""


def test_a_process_that_is_really_killed(tmp_path: Path) -> None:
    here, path = Path(__file__).parent, tmp_path / "part.zarr"
    command = [sys.executable, "-c", KILL, str(path), str(here)]
    done = subprocess.run(command, env={"PYTHONPATH": str(here.parents[1] / "src")}, check=False)
    assert done.returncode == -signal.SIGKILL
    again = writer(path, PartRange(0, 9))
    assert again.next_row == 3
    fill(again, rows(9))
    fill(whole := writer(tmp_path / "whole.zarr", PartRange(0, 9)), rows(9))
    assert again.finish() == whole.finish()


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"p": 2}},
        {"params": {"p": 1, "q": 1}},
        {"inputs": {"index": "2" * 64}},
        {"fingerprint": "other"},
        {"chunk_rows": 4},
        {"layouts": {**LAYOUTS, "x": Layout((3,), "float32")}},
        {"span": PartRange(0, 10)},
    ],
)
def test_progress_under_other_conditions_is_thrown_away(tmp_path: Path, change: dict[str, Any]) -> None:
    old = writer(tmp_path / "part.zarr", PartRange(0, 9))
    fill(old, rows(10), 2)
    other = writer(tmp_path / "part-1.zarr", PartRange(0, 9))
    span = change.pop("span", PartRange(0, 9))
    new = writer(tmp_path / "part.zarr", span, **change)
    assert new.next_row == 0
    assert not old.partial.exists()
    assert other.partial.exists()
    fill(new, rows(10))
    new.finish()
    assert verify_part(tmp_path / "part.zarr")


@pytest.mark.parametrize("damage", ["flip", "cut", "lose"])
@pytest.mark.parametrize("chunk", [0, 1])
def test_progress_that_is_damaged_is_written_again(tmp_path: Path, damage: str, chunk: int) -> None:
    part = writer(tmp_path / "part.zarr", PartRange(0, 9))
    fill(part, rows(9), 2)
    file = part.partial / "x" / "c" / str(chunk) / "0"
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[0] ^= 1
    file.write_bytes(data[: 5 if damage == "cut" else None])
    if damage == "lose":
        file.unlink()
    again = writer(tmp_path / "part.zarr", PartRange(0, 9))
    assert again.next_row == 3 * chunk
    assert again._excluded == []
    fill(again, rows(9))
    again.finish()
    write_manifest(tmp_path / "manifest.json", [tmp_path / "part.zarr"], "embeddings")
    assert Parts(tmp_path / "manifest.json", "embeddings").excluded == [(5, "broken")]
    assert verify_part(tmp_path / "part.zarr")


def test_a_kill_before_the_last_step_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: object) -> None:
        raise Killed

    part = writer(tmp_path / "part.zarr", PartRange(0, 9))
    fill(part, rows(9))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "rename", kill)
        part.finish()
    assert writer(tmp_path / "part.zarr", PartRange(0, 9)).next_row == 9


def test_a_torn_state_starts_anew(tmp_path: Path) -> None:
    part = writer(tmp_path / "part.zarr", PartRange(0, 9))
    fill(part, rows(9), 2)
    (part.partial / "progress.json").write_text("")
    assert writer(tmp_path / "part.zarr", PartRange(0, 9)).next_row == 0


def test_a_finished_part_is_replaced(tmp_path: Path) -> None:
    for seed in (0, 1):
        part = writer(tmp_path / "part.zarr", PartRange(0, 9))
        fill(part, rows(9, seed))
        part.finish()
    write_manifest(tmp_path / "manifest.json", [tmp_path / "part.zarr"], "embeddings")
    found = Parts(tmp_path / "manifest.json", "embeddings").read("x")
    np.testing.assert_array_equal(found, rows(9, 1)["x"])


# ---- mistakes of the caller --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"x": np.zeros((2, 3))},
        {"x": np.zeros((3, 4))},
        {"x": np.zeros(3)},
        {"x": np.full((3, 3), 1e6)},
        {"valid": np.array([0, 1, 2])},
        {"more": np.zeros(3)},
        {"valid": None},
    ],
)
def test_chunks_that_do_not_fit_are_refused_and_leave_no_trace(
    tmp_path: Path, change: dict[str, np.ndarray | None]
) -> None:
    part = writer(tmp_path / "part.zarr", PartRange(0, 9))
    chunk = {"x": np.ones((3, 3)), "valid": np.ones(3, bool), **change}
    with pytest.raises(ValueError):
        part.append({name: array for name, array in chunk.items() if array is not None})
    assert part.next_row == 0
    fill(part, rows(9))
    part.finish()
    assert verify_part(tmp_path / "part.zarr")


def test_whole_numbers_must_fit_and_special_values_stay(tmp_path: Path) -> None:
    layouts = {"i": Layout((), "uint16"), "f": Layout((), "float16")}
    part = writer(tmp_path / "part.zarr", PartRange(0, 3), layouts=layouts)
    special = np.array([np.nan, np.inf, 0.1])
    for bad in ([0, 1, 65536], [0, 1, -1], [0, 1, 0.5]):
        with pytest.raises(ValueError, match="uint16"):
            part.append({"i": np.array(bad), "f": special})
    part.append({"i": np.array([0, 1, 65535], dtype=np.int64), "f": special})
    part.finish()
    write_manifest(tmp_path / "manifest.json", [tmp_path / "part.zarr"], "embeddings")
    found = Parts(tmp_path / "manifest.json", "embeddings")
    assert found.read("i").tolist() == [0, 1, 65535]
    for read in (lambda: found.read("f"), lambda: found.take("f", np.array([2, 1]))):
        with pytest.raises(RelianceError, match=r"f: . of . values are NaN or infinite"):
            read()
    assert found.read("f", 2).tolist() == [np.float16(0.1)]


def test_no_chunk_follows_the_last_and_no_part_is_finished_early(tmp_path: Path) -> None:
    part = writer(tmp_path / "part.zarr", PartRange(0, 4))
    fill(part, rows(4), 1)
    with pytest.raises(ValueError, match="3 to 4"):
        part.finish()
    fill(part, rows(4))
    with pytest.raises(ValueError, match=r"part\.zarr"):
        part.append({"x": np.zeros((0, 3)), "valid": np.zeros(0, bool)})
    part.finish()
    assert verify_part(tmp_path / "part.zarr")


def test_bad_rows_must_be_in_their_chunk(tmp_path: Path) -> None:
    part = writer(tmp_path / "part.zarr", PartRange(3, 9))
    chunk = {"x": np.zeros((3, 3)), "valid": np.zeros(3, bool)}
    for row in (0, 6):
        with pytest.raises(ValueError, match="rows 3 to 6"):
            part.append(chunk, [(row, "broken")])


# ---- manifests that do not fit their parts -----------------------------------------------------------


def test_parts_in_another_order_or_twice_or_with_a_gap_are_refused(tmp_path: Path) -> None:
    a, b, c = split(tmp_path, rows(20), 3)
    for order in ([b, a, c], [a, c], [b, c], [a, a, b], [a, b, b]):
        error = raised(lambda parts=order: write_manifest(tmp_path / "m.json", parts, "embeddings"))  # type: ignore[misc]
        assert "follow each other" in error.rule
    assert not (tmp_path / "m.json").exists()
    with pytest.raises(IndexError):
        write_manifest(tmp_path / "m.json", [], "embeddings")


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"p": 2}},
        {"inputs": {"index": "2" * 64}},
        {"layouts": {**LAYOUTS, "x": Layout((3,), "float32")}},
    ],
)
def test_parts_of_different_runs_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    first, second = split(tmp_path, rows(8), 2)
    part = writer(second, part_range(8, 2, 1), **change)
    fill(part, rows(8))
    part.finish()
    error = raised(lambda: write_manifest(tmp_path / "m.json", [first, second], "embeddings"))
    assert error.where == str(second)


def test_parts_of_another_kind_or_none_are_refused(tmp_path: Path) -> None:
    (part,) = split(tmp_path, rows(8), 1)
    assert "'codes'" in raised(lambda: write_manifest(tmp_path / "m.json", [part], "codes")).rule
    assert (
        raised(lambda: write_manifest(tmp_path / "m.json", [tmp_path / "no"], "embeddings")).found
        == "no such file"
    )
    (tmp_path / "empty").mkdir()
    raised(lambda: write_manifest(tmp_path / "m.json", [tmp_path / "empty"], "embeddings"))
    unfinished = writer(tmp_path / "new.zarr", PartRange(0, 9))
    raised(lambda: write_manifest(tmp_path / "m.json", [unfinished.partial], "embeddings"))
    raised(lambda: verify_part(tmp_path / "no"))


def test_a_manifest_of_another_kind_is_refused(tmp_path: Path) -> None:
    opened(tmp_path, rows(8), 2)
    assert "'codes'" in raised(lambda: Parts(tmp_path / "manifest.json", "codes")).rule


def test_a_replaced_part_is_noticed(tmp_path: Path) -> None:
    opened(tmp_path, rows(20), 3)
    part = tmp_path / "part-1-of-3.zarr"
    shutil.rmtree(part)
    error = raised(lambda: Parts(tmp_path / "manifest.json", "embeddings"))
    assert (error.where, error.found) == (str(part), "no such file")
    split(tmp_path, rows(20, seed=1), 3)
    error = raised(lambda: Parts(tmp_path / "manifest.json", "embeddings"))
    assert error.where == str(tmp_path / "part-0-of-3.zarr")
    assert str(tmp_path / "manifest.json") in error.next_step
    split(tmp_path, rows(20), 3)
    Parts(tmp_path / "manifest.json", "embeddings")


@pytest.mark.parametrize("name", ["x", "valid"])
@pytest.mark.parametrize("damage", ["cut", "lose", "more"])
def test_a_part_without_all_its_chunks_is_noticed(tmp_path: Path, name: str, damage: str) -> None:
    """zarr itself would read a lost chunk as zeros, which chunks of rows 3 to 6 are."""
    (part,) = split(tmp_path, rows(12), 1)
    write_manifest(tmp_path / "manifest.json", [part], "embeddings")
    file = part / name / "c" / "1" / "0" if name == "x" else part / name / "c" / "1"
    if damage == "lose":
        file.unlink()
    else:
        data = file.read_bytes()
        file.write_bytes(data[:-1] if damage == "cut" else data + b"0")
    for read in (
        lambda: Parts(tmp_path / "manifest.json", "embeddings"),
        lambda: write_manifest(tmp_path / "other.json", [part], "embeddings"),
        lambda: verify_part(part),
    ):
        error = raised(read)
        assert error.where == str(part)
        assert f"'{name}'" in error.found


@pytest.mark.parametrize("file", ["zarr.json", "x/zarr.json"])
@pytest.mark.parametrize("text", [None, "", "{", "{}"])
def test_a_part_without_its_description_is_noticed(tmp_path: Path, file: str, text: str | None) -> None:
    (part,) = split(tmp_path, rows(12), 1)
    write_manifest(tmp_path / "manifest.json", [part], "embeddings")
    if text is None:
        (part / file).unlink()
    else:
        (part / file).write_text(text)
    assert str(part) in raised(lambda: Parts(tmp_path / "manifest.json", "embeddings")).where


def test_the_manifest_says_what_is_in_it(tmp_path: Path) -> None:
    found = opened(tmp_path, rows(7), 2)
    record, stamp = read_json(tmp_path / "manifest.json", "embeddings", 1)
    assert stamp == found.stamp
    assert record["arrays"] == {"valid": {"shape": [], "dtype": "|b1"}, "x": {"shape": [3], "dtype": "<f2"}}
    assert [(p["name"], p["start"], p["stop"]) for p in record["parts"]] == [
        ("part-0-of-2.zarr", 0, 3),
        ("part-1-of-2.zarr", 3, 7),
    ]
    attributes = json.loads((tmp_path / "part-1-of-2.zarr" / "zarr.json").read_text())["attributes"]
    assert attributes["reliance"]["id"] == record["parts"][1]["sha256"]


def test_a_split_may_be_moved_as_a_folder(tmp_path: Path) -> None:
    opened(tmp_path / "old", rows(7), 2)
    (tmp_path / "old").rename(tmp_path / "new")
    np.testing.assert_array_equal(
        Parts(tmp_path / "new" / "manifest.json", "embeddings").read("x"), rows(7)["x"]
    )
