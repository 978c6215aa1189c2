"""Files in the making: written under a temporary name, claimed by one process at a time."""

import fcntl
import glob
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from reliance.base.errors import RelianceError

log = logging.getLogger(__name__)
_held: dict[Path, IO[str]] = {}  # locks of this process, by the output they are for


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path` (file or folder), renamed to it when the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{path.name}.{os.uname().nodename}."
    temporary, old = (path.with_name(f"{start}{os.getpid()}.{kind}{path.suffix}") for kind in ("tmp", "old"))
    _remove(temporary)  # of a killed process with the same number
    try:
        yield temporary
        if path.is_dir() or (temporary.is_dir() and path.exists()):  # no replacing in one step
            temporary.stat()
            os.replace(path, old)
        os.replace(temporary, path)
        _clear(path, start)
    finally:
        _remove(temporary)
        _remove(old)


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """An error of the system inside the block names this file, if it does not name one itself."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def claim(output: Path, key: str) -> Path:
    """The hidden folder beside `output` for its unfinished work under a key, for this process alone.

    It need not exist yet; unfinished work under other keys is thrown away. The claim lasts until `release`,
    or until the process ends, however it ends.

    Raises RelianceError if another process is at work on the same output.
    """
    output = Path(output).absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    if output not in _held:
        _held[output] = _lock(output)
    start = f".{output.name}.partial-"
    for other in output.parent.glob(f"{glob.escape(start)}*"):
        if other.name != start + key:
            shutil.rmtree(other)
    return output.with_name(start + key)


def release(output: Path) -> None:
    """End a claim: the work on `output` is finished."""
    if stream := _held.pop(Path(output).absolute(), None):
        Path(stream.name).unlink(missing_ok=True)
        stream.close()


def _clear(path: Path, start: str) -> None:
    """Remove what killed processes of this machine left of writing `path`; their names have this start."""
    for left in path.parent.glob(f"{glob.escape(start)}*"):
        number, _, kind = left.name.removeprefix(start).removesuffix(path.suffix).partition(".")
        if kind in ("tmp", "old") and number.isdigit() and not _at_work(int(number)):
            try:
                _remove(left)
            except OSError as error:
                log.warning("%s, which a killed job left, cannot be removed: %s", left, error)


def _at_work(number: int) -> bool:
    """Whether another process has the number."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return number != os.getpid()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _lock(output: Path) -> IO[str]:
    """A file that is locked until it is closed; it says who locked it."""
    path = output.with_name(f".{output.name}.lock")
    while True:
        stream = open(path, "a+", encoding="utf-8")  # noqa: SIM115
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise _occupied(output, stream.read()) from None
        except OSError as error:
            log.warning("%s cannot be locked (%s): make sure that no other run works on it", output, error)
        if path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat()):
            break  # else whoever had it has just released it
    stream.truncate(0)
    stream.write(f"process {os.getpid()} on {os.uname().nodename}")
    stream.flush()
    return stream


def _occupied(output: Path, owner: str) -> RelianceError:
    return RelianceError(
        output,
        "one process at a time works on an output",
        found=f"{owner or 'another process'} is at work on it",
        allowed="no other run in this results folder",
        next_step="if another run is going, wait until it ends; if a killed run left it, stop it "
        "with `kill` and its number. Then run the target again, which goes on at the last savepoint",
    )
