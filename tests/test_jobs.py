"""The wrapper around scripts, in a process of its own: log, terminal, exit code, arguments."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.iocontainers import InputFiles, OutputFiles, Params

from reliance import jobs
from reliance.errors import RelianceError
from reliance.jobs import arguments, atomic, choose_device

SRC = Path(__file__).parents[1] / "src"
FAKE = """
import logging, os, subprocess, sys, warnings
from pathlib import Path
from types import SimpleNamespace
from reliance.errors import RelianceError
from reliance.jobs import run
snakemake = SimpleNamespace(
    rule="stage", wildcards={wildcards}, log=["logs/deep/stage.log"],
    input=dict(table="in.txt", parts=["a", "b"]), output=dict(out="out.txt"), params=dict(settings=dict(k=3)),
)
def stage(*, table, parts, out, k):
{body}
run(snakemake, stage)
"""


def run(
    folder: Path, body: str, wildcards: dict[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[str], str]:
    """A finished job and its log."""
    text = FAKE.format(body=textwrap.indent(textwrap.dedent(body), "    "), wildcards=wildcards or {})
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env={"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, (folder / "logs/deep/stage.log").read_text()


def test_a_job_writes_its_log_and_nothing_else(tmp_path: Path) -> None:
    body = """
    print("printed")
    logging.getLogger("reliance.x").info("said")
    warnings.warn("careful")
    os.write(1, b"by the system 1\\n"); os.write(2, b"by the system 2\\n")
    subprocess.run(["echo", "by a child"])
    out.write_text(f"{table} {parts} {k}")
    """
    done, log = run(tmp_path, body)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for text in ("printed", " said", "careful", "by the system 1", "by the system 2", "by a child"):
        assert text in log
    assert (tmp_path / "out.txt").read_text() == "in.txt [PosixPath('a'), PosixPath('b')] 3"


def test_a_user_error_is_shown_in_full_and_its_traceback_only_in_the_log(tmp_path: Path) -> None:
    body = 'raise RelianceError(table, "must be", found=k, allowed="4", next_step="try 4")'
    done, log = run(tmp_path, body, {"variant": "demo", "split": "train"})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "\nERROR in stage [variant=demo, split=train]\n"
        "in.txt: must be\n  found:   3\n  allowed: 4\n  next:    try 4\n"
        "  full log: logs/deep/stage.log\n\n"
    )
    assert "Traceback" in log
    assert "in stage" in log


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise ValueError('first\\n\\nsecond')", "ValueError: first"),
        ("raise ValueError('\\n \\n')", "ValueError"),
        ("assert k == 4", "AssertionError"),
        ("raise KeyError('x\\x1b[2J\\udce9')", "KeyError: 'x\\x1b[2J\\udce9'"),
        ("raise OSError('\\x1b[2J\\udce9')", "OSError: \\x1b[2J\\udce9"),
        ("stage()", "TypeError: "),
    ],
)
def test_another_error_is_one_line(tmp_path: Path, body: str, line: str) -> None:
    done, log = run(tmp_path, body)
    shown = done.stderr.splitlines()
    assert done.returncode == 1
    assert shown[1] == "ERROR in stage"
    assert shown[2].startswith(line)
    assert shown[3:] == ["  full log: logs/deep/stage.log", ""]
    assert "Traceback" in log


def test_a_second_attempt_starts_a_new_log(tmp_path: Path) -> None:
    run(tmp_path, "print('first')")
    assert "first" not in run(tmp_path, "print('second')")[1]


def test_an_exit_of_the_stage_is_not_swallowed(tmp_path: Path) -> None:
    assert run(tmp_path, "sys.exit(7)")[0].returncode == 7


def job(**parts: object) -> SimpleNamespace:
    given = {"input": InputFiles(), "output": OutputFiles(), "params": Params(), "rule": "stage", **parts}
    return SimpleNamespace(**given)


def test_arguments_are_the_named_files_and_the_settings() -> None:
    inputs = InputFiles(fromdict={"index": "a/b", "parts": ["one"], "none": []})
    outputs = OutputFiles(fromdict={"out": "c"})
    settings = {"k": 3, "names": ["x"], "file": "stays text", "nothing": None}
    found = arguments(
        job(input=inputs, output=outputs, params=Params(fromdict={"settings": settings, "code": "m@1"}))
    )
    assert found == {"index": Path("a/b"), "parts": [Path("one")], "none": [], "out": Path("c"), **settings}
    assert arguments(job(input=inputs)) == {"index": Path("a/b"), "parts": [Path("one")], "none": []}


def test_one_name_twice_is_refused() -> None:
    inputs = InputFiles(fromdict={"k": "a"})
    for more in (
        {"output": OutputFiles(fromdict={"k": "b"})},
        {"params": Params(fromdict={"settings": {"k": 3}})},
    ):
        with pytest.raises(ValueError, match="rule stage gives 'k' twice"):
            arguments(job(input=inputs, **more))


@pytest.mark.parametrize("there", [True, False])
def test_the_device_of_a_config_value(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == ("cuda" if there else "cpu")
    if there:
        assert choose_device("cuda") == "cuda"
        return
    with pytest.raises(RelianceError, match=r"compute.device: (.|\n)*write `device: auto`"):
        choose_device("cuda")


def hold(output: Path) -> subprocess.Popen[str]:
    """Another process that works on an output until it is killed."""
    code = (
        f"import sys, time; from pathlib import Path; from reliance.jobs import claim\n"
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
            jobs.claim(output, "other")
        assert caught.value.where == str(output)
        assert (tmp_path / ".x.zarr.partial-k").exists(), "its work is left alone"
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
    assert jobs.claim(output, "other") == tmp_path / ".x.zarr.partial-other"
    assert not (tmp_path / ".x.zarr.partial-k").exists(), "unfinished work under another key is thrown away"
    jobs.release(output)


def test_a_claim_can_be_repeated_and_released(tmp_path: Path) -> None:
    output = tmp_path / "a[1]" / "x"
    folder = jobs.claim(output, "k")
    folder.mkdir()
    assert jobs.claim(output, "k") == folder and folder.exists()
    jobs.release(output)
    jobs.release(output)
    assert not list(tmp_path.rglob("*.lock"))


def test_a_file_system_without_locks_is_warned_about(tmp_path: Path, monkeypatch, caplog) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(jobs.fcntl, "flock", refuse)
    jobs.claim(tmp_path / "x", "k")
    jobs.release(tmp_path / "x")
    assert "cannot be locked" in caplog.text


@pytest.mark.parametrize(
    ("number", "words"),
    [(28, "No space left on device"), (30, "Read-only file system"), (13, "Permission denied")],
)
@pytest.mark.parametrize("named", [True, False])
def test_a_full_or_read_only_disk_is_explained(number: int, words: str, named: bool) -> None:
    outputs = OutputFiles(fromdict={"out": "results/x.parquet"})
    job = SimpleNamespace(rule="encode", wildcards={}, log=["results/logs/x.log"], output=outputs)
    error = OSError(number, words, "results/x.parquet") if named else OSError(number, words)
    text = jobs.message(job, error)
    assert "results/x.parquet: artifacts are written to a disk with room" in text
    assert f"found:   {words}" in text
    assert "next:" in text and "full log: results/logs/x.log" in text


def test_another_error_of_the_system_is_told_as_it_is() -> None:
    job = SimpleNamespace(rule="encode", wildcards={}, log=["x.log"])
    assert "OSError: [Errno 5] Input/output error" in jobs.message(job, OSError(5, "Input/output error"))


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
