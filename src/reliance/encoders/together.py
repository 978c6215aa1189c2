"""Other sites of an encoder that a job records in the pass that it makes anyway.

What the configured variants ask of one encoder and split goes through the model once: the job that comes
first writes the rows of the other sites, too, as the unfinished work of their own jobs. These find all rows
there and only give the part its name. A part that is there, or that its own job is at, is left alone.
"""

import fcntl
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from reliance.base.entry import imported
from reliance.base.errors import RelianceError
from reliance.base.rows import PartWriter
from reliance.base.writing import release
from reliance.encoders.chunk import Chunk
from reliance.encoders.model import Clip
from reliance.encoders.sites.site import Site

log = logging.getLogger(__name__)


class Guest(NamedTuple):
    """A site that is recorded beside the job's own."""

    site: Site
    writer: PartWriter
    chunk: Chunk
    lock: IO[str]

    def leave(self) -> None:
        """Let its own job go on."""
        release(self.writer.path)
        _unlock(self.lock)


def guests(
    asked: Mapping[str, Mapping[str, Any]],
    own: PartWriter,
    clip: Clip,
    dtype: str,
    begin: Callable[[Site, Path, str], PartWriter],
) -> list[Guest]:
    """The sites that can be recorded in the pass for `own`: at the same row, and nobody is at work on them.

    asked : by name of the site its entry point, its arguments and the fingerprint of its own job's code.
    begin : opens the unfinished part of a site under such a fingerprint.
    """
    found = []
    for name, row in asked.items():
        part = own.path.parents[2].with_name(name).joinpath(*own.path.parts[-3:])
        if part.exists() or not (lock := _locked(part)):
            continue
        made = imported(row["entry"])
        site: Site = made(**row["arguments"]) if row["arguments"] else made
        try:
            writer = begin(site, part, row["fingerprint"])
        except RelianceError as error:  # another run is at work on it, or the model has no such place
            log.info("site %s is not recorded beside: %s", name, error)
            _unlock(lock)
            continue
        guest = Guest(site, writer, Chunk(site, clip, dtype), lock)
        if writer.next_row != own.next_row or own.next_row == own.rows.stop:
            guest.leave()
            continue
        log.info("site %s is recorded in the same pass", name)
        found.append(guest)
    return found


@contextmanager
def alone(part: Path) -> Iterator[None]:
    """Wait for a job that records the part beside its own; inside, none begins to."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with open(_name(part), "a+", encoding="utf-8") as stream:
        _wait(stream, part)
        yield
        Path(stream.name).unlink(missing_ok=True)


def _wait(stream: IO[str], part: Path) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("%s is being recorded by the job of another site: waiting for it", part)
        fcntl.flock(stream, fcntl.LOCK_SH)
    except OSError as error:
        log.warning("%s cannot be locked (%s): make sure that no other run works on it", part, error)


def _locked(part: Path) -> IO[str] | None:
    """The lock of who records a part beside its own; None if somebody has it."""
    part.parent.mkdir(parents=True, exist_ok=True)
    stream = open(_name(part), "a+", encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        return None
    return stream


def _unlock(stream: IO[str]) -> None:
    Path(stream.name).unlink(missing_ok=True)
    stream.close()


def _name(part: Path) -> Path:
    return part.with_name(f".{part.name}.beside")
