"""How far long jobs are: one line at the bottom of the terminal, with a bar for each job that runs.

Jobs are processes of their own, and Snakemake writes in between. So a job only notes how far it is, in a
small file (`Reporter`), and Snakemake's process draws them all (`Status`); it takes its line away before
anything else is written. Who looks at no terminal gets no folder for these files: then nothing is noted and
nothing drawn, and lines and logs are as they always were.
"""

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple, TextIO

from reliance.base.errors import printable

FOLDER = "RELIANCE_PROGRESS"  # environment variable: where jobs note how far they are
CLEAR = "\r\033[K"
EVERY, QUIET = 0.5, 0.3  # seconds between two notes or drawings; without a drawing after a line of others
BAR, NARROW = 24, 10  # characters of a bar


class Note(NamedTuple):
    """How far a job is."""

    title: str
    done: int
    total: int
    what: str  # of which it is so many
    left: float | None  # seconds; None: not known


class Reporter:
    """Notes how far a job is in a file, twice a second at most; told by `telling.advance`."""

    def __init__(self, file: Path, title: str) -> None:
        self._file, self._title = file, title
        self._began, self._first, self._last, self._next = 0.0, 0, (-1, -1), 0.0

    def __call__(self, done: int, total: int, what: str) -> None:
        """Note it."""
        now = time.monotonic()
        if total != self._last[1] or done < self._last[0]:  # another loop
            self._began, self._first, self._next = now, done, 0.0
        self._last = done, total
        if now < self._next:
            return
        self._next = now + EVERY
        gone, made = now - self._began, done - self._first
        left = gone / made * (total - done) if made > 0 else None
        try:
            self._file.write_text(json.dumps(Note(self._title, done, total, what, left)), encoding="utf-8")
        except OSError:  # the folder is gone, or the disk is full: a job is worth more than its bar
            self._next = float("inf")

    def close(self) -> None:
        """The job has ended."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)


def reporter(title: str, terminal: int, environment: Mapping[str, str] = os.environ) -> Reporter | None:
    """Where a job notes how far it is; None if nobody looks. terminal : file descriptor of its stderr."""
    folder = environment.get(FOLDER, "")
    if not folder or not os.path.isdir(folder) or not os.isatty(terminal):
        return None
    return Reporter(Path(folder, str(os.getpid())), title)


class Status(logging.Handler):
    """Draws the line on a terminal, and takes it away before a record is written by the handlers after it."""

    def __init__(self, stream: TextIO, folder: Path) -> None:
        super().__init__()
        self._stream, self._folder = stream, folder
        self._steps: tuple[int, int] | None = None
        self._drawn, self._until, self._stop = False, 0.0, Event()
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to draw."""
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Make room for a record; Snakemake's of how many steps are done are kept."""
        if getattr(record, "event", None) == "progress":
            self._steps = int(getattr(record, "done", 0)), int(getattr(record, "total", 0))
        self._wipe()
        self._until = time.monotonic() + QUIET

    def draw(self) -> None:
        """Draw the line as it is now."""
        text = line(self._steps, notes(self._folder), shutil.get_terminal_size().columns - 1)
        self.acquire()
        try:
            if time.monotonic() >= self._until and (text or self._drawn):
                self._drawn = self._write(f"{CLEAR}{text}") and bool(text)
        finally:
            self.release()

    def close(self) -> None:
        """Take the line away for good, and remove the folder."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2 * EVERY)
        self._wipe()
        shutil.rmtree(self._folder, ignore_errors=True)
        super().close()

    def _wipe(self) -> None:
        if self._drawn:
            self._write(CLEAR)
            self._drawn = False

    def _write(self, text: str) -> bool:
        """Write to the terminal; if that is gone, nothing is drawn any more, and the run goes on."""
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stop.set()
            return False
        return True

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self.draw()


def begin(logger: logging.Logger, stream: TextIO, environment: Any = os.environ) -> Status | None:
    """Draw from now on until the logger is closed, if a person looks at `stream`; else None.

    Jobs that are started from now on find the folder in the environment.
    """
    if not stream.isatty() or environment.get("CI") or environment.get("TERM", "dumb") == "dumb":
        return None
    try:
        folder = Path(tempfile.mkdtemp(prefix="reliance-"))
    except OSError:  # no room for notes: a run is worth more than a line about it
        return None
    environment[FOLDER] = str(folder)
    status = Status(stream, folder)
    logger.handlers.insert(0, status)  # before those that write
    status.start()
    return status


def notes(folder: Path) -> list[Note]:
    """What jobs that are alive have noted, by the number of their process."""
    found = []
    for file in folder.glob("*"):
        try:
            os.kill(int(file.name), 0)
            found.append((int(file.name), Note(*json.loads(file.read_text(encoding="utf-8")))))
        except (OSError, ValueError, TypeError):  # it ended, or is writing just now
            continue
    return [note for _, note in sorted(found)]


def line(steps: tuple[int, int] | None, running: Sequence[Note], width: int) -> str:
    """The line: steps done and all, then the jobs that run, as many as fit into `width` characters."""
    parts = [f"{steps[0]} of {steps[1]} steps"] if steps else []
    for shown in range(len(running), -1, -1):
        for bar in (BAR, NARROW, 0):
            jobs = [said(note, bar) for note in running[:shown]]
            more = [f"{len(running) - shown} more"] if shown < len(running) else []
            text = " | ".join([*parts, *jobs, *more])
            if len(text) <= width:
                return text
    return ""


def said(note: Note, bar: int) -> str:
    """A job in a few words, with a bar of so many characters."""
    share = min(max(note.done / note.total, 0.0), 1.0) if note.total > 0 else 0.0
    full = round(share * bar)
    drawn = f" [{'#' * full}{'-' * (bar - full)}]" if bar else ""
    left = f", {span(note.left)} left" if note.left is not None and bar else ""
    of = f" of {note.total:,} {note.what}" if bar == BAR else ""
    return printable(f"{note.title}{drawn} {100 * share:.0f} %{of}{left}")


def span(seconds: float) -> str:
    """A time in words: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
