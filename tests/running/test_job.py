"""The wrapper around jobs, in a process of its own: log, terminal, exit code, arguments."""

import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, ValidationError
from snakemake.iocontainers import InputFiles, OutputFiles, Params

from reliance.running import job as jobs
from reliance.running.job import arguments, bundled

SRC = Path(__file__).parents[2] / "src"
FAKE = """
import logging, os, subprocess, sys, warnings
from pathlib import Path
from types import SimpleNamespace
from reliance.base.errors import RelianceError
from reliance.running.job import run
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


def test_inputs_that_snakemake_cannot_be_told_of_keep_their_place() -> None:
    inputs = InputFiles(fromdict={"tables": ["a", "c"]})
    literal = {
        "tables": [[1, "{b}", 5, 7], [3, "{d}", 5, 7]],
        "names": [[-1, "x {y}", 5, 7]],
        "alone": [[0, "{e}", 1, 1]],
    }
    found = arguments(job(input=inputs, params=Params(fromdict={"settings": {}, "literal": literal})))
    tables = [Path(name) for name in ("a", "{b}", "c", "{d}")]
    assert found == {"tables": tables, "names": Path("x {y}"), "alone": [Path("{e}")]}


def test_one_name_twice_is_refused() -> None:
    inputs = InputFiles(fromdict={"k": "a"})
    for more in (
        {"output": OutputFiles(fromdict={"k": "b"})},
        {"params": Params(fromdict={"settings": {"k": 3}})},
    ):
        with pytest.raises(ValueError, match="rule stage gives 'k' twice"):
            arguments(job(input=inputs, **more))


@pytest.mark.parametrize(
    ("number", "words"),
    [(28, "No space left on device"), (30, "Read-only file system"), (13, "Permission denied")],
)
@pytest.mark.parametrize("named", [True, False])
def test_a_full_or_read_only_disk_is_explained(number: int, words: str, named: bool) -> None:
    outputs = OutputFiles(fromdict={"out": "results/x.parquet"})
    failed = SimpleNamespace(rule="encode", wildcards={}, log=["results/logs/x.log"], output=outputs)
    error = OSError(number, words, "results/x.parquet") if named else OSError(number, words)
    text = jobs.message(failed, error)
    assert "results/x.parquet: artifacts are written to a disk with room" in text
    assert f"found:   {words}" in text
    assert "next:" in text and "full log: results/logs/x.log" in text


def test_another_error_of_the_system_is_told_as_it_is() -> None:
    failed = SimpleNamespace(rule="encode", wildcards={}, log=["x.log"])
    assert "OSError: [Errno 5] Input/output error" in jobs.message(failed, OSError(5, "Input/output error"))


class Pair(NamedTuple):
    left: Path
    right: Path = Path("default")


class Loop(NamedTuple):
    left: Path
    length: int


def test_named_tuples_are_made_of_the_keywords_that_are_their_fields() -> None:
    def stage(pair: Pair, *, loop: Loop | None = None, k: int = 1) -> tuple[Any, ...]:
        return pair, loop, k

    a, b = Path("a"), Path("b")
    assert bundled(stage, {"left": a, "right": b, "length": 3, "k": 2}) == {
        "pair": Pair(a, b),
        "loop": Loop(a, 3),
        "k": 2,
    }
    assert bundled(stage, {"left": a, "length": 3}) == {"pair": Pair(a), "loop": Loop(a, 3)}


def test_a_field_that_is_not_given_is_an_error() -> None:
    def stage(pair: Pair) -> None: ...

    with pytest.raises(TypeError, match="left"):
        bundled(stage, {"right": Path("b")})


def test_what_is_told_is_on_the_terminal_too(tmp_path: Path) -> None:
    body = """
    from reliance.base.telling import mention, tell
    tell(logging.getLogger("reliance.x"), "%s\\x1b left out", 3)
    mention(logging.getLogger("reliance.x"), "7 images")
    logging.getLogger("reliance.x").warning("for the log")
    """
    done, log = run(tmp_path, body, {"dataset": "mine"})
    said = "WARNING in stage [dataset=mine]: 3\\x1b left out\nstage [dataset=mine]: 7 images\n"
    assert (done.returncode, done.stderr) == (0, said)
    assert "left out" in log and "for the log" in log


def test_sections_of_the_configuration_are_bundles_too() -> None:
    class Shape(BaseModel):
        m: int
        sizes: tuple[float, ...] = ()

    def stage(*, shape: Shape, other: int) -> None: ...

    assert bundled(stage, {"m": 3, "sizes": [1, 2], "other": 4}) == {
        "shape": Shape(m=3, sizes=(1.0, 2.0)),
        "other": 4,
    }
    with pytest.raises(ValidationError, match="m"):
        bundled(stage, {"sizes": [1], "other": 4})
