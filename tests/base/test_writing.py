"""Files in the making: claimed by one process, renamed when they are whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reliance.base import writing
from reliance.base.errors import RelianceError
from reliance.base.writing import atomic


def hold(output: Path) -> subprocess.Popen[str]:
    """Another process that works on an output until it is killed."""
    code = (
        f"import sys, time; from pathlib import Path; from reliance.base.writing import claim\n"
        f"claim(Path({str(output)!r}), 'k').mkdir(); print('held', flush=True); time.sleep(60)"
    )
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": path}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout and process.stdout.readline() == "held\n"
    return process


def test_one_process_at_a_time_works_on_an_output(tmp_path: Path) -> None:
    output = tmp_path / "x.zarr"
    process = hold(output)
    try:
        with pytest.raises(RelianceError, match=f"process {process.pid} on .* is at work") as caught:
            writing.claim(output, "other")
        assert caught.value.where == str(output)
        assert (tmp_path / ".x.zarr.partial-k").exists(), "its work is left alone"
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
    assert writing.claim(output, "other") == tmp_path / ".x.zarr.partial-other"
    assert not (tmp_path / ".x.zarr.partial-k").exists(), "unfinished work under another key is thrown away"
    writing.release(output)


def test_a_claim_can_be_repeated_and_released(tmp_path: Path) -> None:
    output = tmp_path / "a[1]" / "x"
    folder = writing.claim(output, "k")
    folder.mkdir()
    assert writing.claim(output, "k") == folder and folder.exists()
    writing.release(output)
    writing.release(output)
    assert not list(tmp_path.rglob("*.lock"))


def test_a_file_system_without_locks_is_warned_about(tmp_path: Path, monkeypatch, caplog) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(writing.fcntl, "flock", refuse)
    writing.claim(tmp_path / "x", "k")
    writing.release(tmp_path / "x")
    assert "cannot be locked" in caplog.text


def fill(path: Path, text: str, folder: bool) -> None:
    if folder:
        path.mkdir()
        path = path / "inside"
    path.write_text(text)


def content(path: Path) -> str:
    return (path / "inside" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("before", [None, False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_finished_block_replaces_what_was_there(tmp_path: Path, before: bool | None, after: bool) -> None:
    path = tmp_path / "new" / "thing.zarr"
    if before is not None:
        path.parent.mkdir()
        fill(path, "old", before)
    with atomic(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == path.suffix
        fill(temporary, "new", after)
        assert path.exists() == (before is not None)
    assert content(path) == "new"
    assert os.listdir(path.parent) == ["thing.zarr"]


@pytest.mark.parametrize("before", [None, False, True])
@pytest.mark.parametrize("after", [None, False, True])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_block_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, before: bool | None, after: bool | None, error: type[BaseException]
) -> None:
    path = tmp_path / "thing"
    if before is not None:
        fill(path, "old", before)
    with pytest.raises(error), atomic(path) as temporary:
        if after is not None:
            fill(temporary, "half", after)
        raise error
    assert os.listdir(tmp_path) == ([] if before is None else ["thing"])
    assert before is None or content(path) == "old"


@pytest.mark.parametrize("before", [False, True])
def test_a_block_that_writes_nothing_fails_and_leaves_the_old_one(tmp_path: Path, before: bool) -> None:
    fill(tmp_path / "thing", "old", before)
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "thing"):
        pass
    assert content(tmp_path / "thing") == "old"
    assert os.listdir(tmp_path) == ["thing"]


def test_what_a_killed_process_left_is_not_built_upon(tmp_path: Path) -> None:
    with atomic(tmp_path / "thing") as temporary:
        temporary.mkdir()
    fill(temporary, "left over", True)  # a later process may get the same number
    with atomic(tmp_path / "thing") as again:
        assert again == temporary
        assert not again.exists()
        again.mkdir()
    assert os.listdir(tmp_path) == ["thing"]


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("kind", ["tmp", "old"])
def test_what_killed_processes_left_is_cleared_away(tmp_path: Path, kind: str, folder: bool) -> None:
    path = tmp_path / "thing[1].zarr"
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    here = os.uname().nodename
    fill(tmp_path / f".{path.name}.{here}.{ended.pid}.{kind}.zarr", "left over", folder)
    kept = [
        f".{path.name}.{here}.{os.getppid()}.{kind}.zarr",  # of a process that is at work
        f".{path.name}.elsewhere.{ended.pid}.{kind}.zarr",
        f".thing.zarr.{here}.{ended.pid}.{kind}.zarr",  # of another output
        f".{path.name}.lock",
    ]
    for name in kept:
        fill(tmp_path / name, "another's", folder)
    with atomic(path) as temporary:
        fill(temporary, "new", folder)
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, *kept])


def test_what_cannot_be_cleared_away_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    left = tmp_path / f".thing.{os.uname().nodename}.{ended.pid}.tmp"
    left.write_text("another user's")
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == left:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with atomic(tmp_path / "thing") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "thing").read_text() == "new"
    assert f"{left}, which a killed job left, cannot be removed" in caplog.text


@pytest.mark.parametrize(("given", "named"), [(None, "outer"), ("other", "other")])
def test_an_error_of_the_system_names_the_file_that_was_written(given: str | None, named: str) -> None:
    with pytest.raises(OSError) as caught, writing.naming("outer"), writing.naming("outer"):
        raise OSError(28, "No space left on device", given)
    assert caught.value.filename == named and caught.value.strerror == "No space left on device"
