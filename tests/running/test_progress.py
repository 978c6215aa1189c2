"""How far jobs are: what is noted, what is drawn where, and that nobody is told who does not look."""

import io
import json
import logging
import os
import pty
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliance.base.telling import advance, shown
from reliance.running import progress
from reliance.running.progress import (
    CLEAR,
    FOLDER,
    Note,
    Reporter,
    Status,
    begin,
    line,
    notes,
    reporter,
    span,
)

from .test_job import FAKE, SRC

HALF = Note("train_sae [variant=demo]", 1500, 3000, "steps", 40.0)


class Terminal(io.StringIO):
    """Somebody looks."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_loop_tells_who_looks_and_nobody_else() -> None:
    told: list[tuple[int, int, str]] = []
    advance(1, 4, "rows")
    with shown(lambda *said: told.append(said)):
        advance(2, 4, "rows")
    with shown(None):
        advance(3, 4, "rows")
    assert told == [(2, 4, "rows")]


def test_a_job_notes_how_far_it_is_not_more_often_than_can_be_seen(
    tmp_path: Path, clock: list[float]
) -> None:
    file = tmp_path / str(os.getpid())
    job = Reporter(file, "encode")
    job(1, 10, "images")
    assert notes(tmp_path) == [Note("encode", 1, 10, "images", None)]
    clock[0] += 0.4
    job(2, 10, "images")
    assert notes(tmp_path)[0].done == 1
    clock[0] += 0.6
    job(3, 10, "images")
    assert notes(tmp_path) == [Note("encode", 3, 10, "images", 3.5)]
    job(1, 5, "rows")  # another loop begins
    assert notes(tmp_path) == [Note("encode", 1, 5, "rows", None)]
    job.close()
    job.close()
    assert notes(tmp_path) == []


def test_notes_of_the_dead_and_half_written_ones_are_passed_over(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / str(gone.pid)).write_text(json.dumps(HALF))
    (tmp_path / str(os.getpid())).write_text(json.dumps(HALF)[:20])
    (tmp_path / "else").write_text("")
    assert notes(tmp_path) == []


def test_a_note_that_cannot_be_written_ends_no_job(tmp_path: Path) -> None:
    job = Reporter(tmp_path / "gone/1", "encode")
    job(1, 10, "images")
    job(2, 10, "images")
    job.close()


def test_nobody_is_noted_for_without_a_terminal(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w") as log:
        assert reporter("t", log.fileno(), {FOLDER: str(tmp_path)}) is None
    master, slave = pty.openpty()
    assert reporter("t", slave, {}) is None
    assert reporter("t", slave, {FOLDER: str(tmp_path / "gone")}) is None
    assert reporter("t", slave, {FOLDER: str(tmp_path)}) is not None
    os.close(master), os.close(slave)


def test_the_line_has_what_fits() -> None:
    other = HALF._replace(title="encode [variant=demo]", done=0, total=0, left=None)
    assert line(None, [], 80) == ""
    assert line((3, 81), [], 80) == "3 of 81 steps"
    bar = "[############------------] 50 % of 3,000 steps, 40 s left"
    assert line((3, 81), [HALF], 120) == f"3 of 81 steps | train_sae [variant=demo] {bar}"
    assert "[#####-----] 50 %, 40 s left" in line((3, 81), [HALF], 79)
    assert line((3, 81), [HALF, other], 79) == (
        "3 of 81 steps | train_sae [variant=demo] 50 % | encode [variant=demo] 0 %"
    )
    assert line((3, 81), [HALF, other], 24) == "3 of 81 steps | 2 more"
    assert line((3, 81), [HALF, other], 4) == ""


@given(st.lists(st.builds(Note, st.text(), st.integers(), st.integers(), st.text(), st.none()), max_size=4),
       st.integers(0, 200))  # fmt: skip
def test_the_line_is_never_wider_and_one_line(running: list[Note], width: int) -> None:
    found = line((1, 2), running, width)
    assert len(found) <= width and found.isprintable()


def test_times_are_told_in_words() -> None:
    assert [span(s) for s in (0.4, 89, 91, 5399, 5400)] == ["0 s", "89 s", "2 min", "90 min", "1.5 h"]


def test_it_is_drawn_on_a_terminal_only() -> None:
    logger = logging.Logger("one")
    for stream, environment in (
        (io.StringIO(), {"TERM": "xterm"}),
        (Terminal(), {"TERM": "dumb"}),
        (Terminal(), {}),
        (Terminal(), {"TERM": "xterm", "CI": "true"}),
    ):
        assert begin(logger, stream, environment) is None and FOLDER not in environment
    assert logger.handlers == []


def test_the_line_makes_room_for_others_and_goes(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Status, "start", lambda self: None)
    logger, stream, environment = logging.Logger("one"), Terminal(), {"TERM": "xterm"}
    logger.addHandler(logging.StreamHandler(stream))
    status = begin(logger, stream, environment)
    assert status is not None and logger.handlers[0] is status
    folder = Path(environment[FOLDER])
    (folder / str(os.getpid())).write_text(json.dumps(HALF))
    monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: os.terminal_size((60, 20)))
    status.draw()
    drawn = "train_sae [variant=demo] [#####-----] 50 %, 40 s left"
    assert stream.getvalue() == CLEAR + drawn
    logger.info("a line", extra={"event": "progress", "done": 3, "total": 81})
    assert stream.getvalue() == f"{CLEAR}{drawn}{CLEAR}a line\n"
    status.draw()
    assert stream.getvalue().endswith("a line\n")  # not at once
    clock[0] += 1
    status.draw()
    assert stream.getvalue().endswith(f"{CLEAR}3 of 81 steps | train_sae [variant=demo] 50 %")
    status.close()
    assert stream.getvalue().endswith(CLEAR) and not folder.exists()


def test_a_job_takes_the_line_away_before_it_tells_something(tmp_path: Path) -> None:
    body = """
    from reliance.base.telling import advance, tell
    advance(1, 2, "rows")
    print(open(f"{os.environ['RELIANCE_PROGRESS']}/{os.getpid()}").read())
    tell(logging.getLogger("x"), "careful")
    raise ValueError("no")
    """
    text = FAKE.format(body=textwrap.indent(textwrap.dedent(body), "    "), wildcards={})
    master, slave = pty.openpty()
    (tmp_path / "notes").mkdir()
    environment = {"PYTHONPATH": str(SRC), FOLDER: str(tmp_path / "notes")}
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, env=environment, stderr=slave, check=False
    )
    os.close(slave)
    said = os.read(master, 10_000).decode()
    os.close(master)
    assert done.returncode == 1 and list((tmp_path / "notes").iterdir()) == []
    assert f"{CLEAR}WARNING in stage: careful\r\n{CLEAR}\r\nERROR in stage" in said
    assert '["stage", 1, 2, "rows", null]' in (tmp_path / "logs/deep/stage.log").read_text()
