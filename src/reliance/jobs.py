"""The wrapper around every script: its log, its arguments, its one-line error; its files in the making."""

import errno
import fcntl
import glob
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from reliance.errors import RelianceError, printable

log = logging.getLogger(__name__)
_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
_held: dict[Path, IO[str]] = {}  # locks of this process, by the output they are for


def run(snakemake: Any, function: Callable[..., object]) -> None:
    """Call `function` with the job's named inputs, outputs and `params` (settings, untracked) as keywords.

    Everything the process prints goes to the job's log. On an error the log has the
    traceback, the terminal has the message and the log's path, and the process exits with 1.
    """
    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.dup(2)
    with open(path, "w", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr, force=True)
    logging.captureWarnings(True)
    try:
        function(**arguments(snakemake))
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        os.write(terminal, message(snakemake, error).encode(errors="backslashreplace"))
        sys.exit(1)


def message(snakemake: Any, error: Exception) -> str:
    """What the terminal shows of a failed job: the rule, its wildcards, the message, the log's path."""
    wildcards = ", ".join(f"{k}={v}" for k, v in snakemake.wildcards.items())
    if isinstance(error, OSError) and error.errno in _STORAGE:
        error = _storage(error, list(snakemake.output))
    text = str(error)
    if not isinstance(error, RelianceError):
        first = next(filter(None, map(str.strip, text.splitlines())), "")
        text = f"{type(error).__name__}: {printable(first)}" if first else type(error).__name__
    title = f"{snakemake.rule} [{wildcards}]" if wildcards else snakemake.rule
    return f"\nERROR in {title}\n{text}\n  full log: {snakemake.log[0]}\n\n"


def _storage(error: OSError, outputs: list[str]) -> RelianceError:
    """The error of a disk that is full or may not be written to."""
    return RelianceError(
        error.filename or ", ".join(outputs),
        "artifacts are written to a disk with room on which you may write",
        found=error.strerror or str(error),
        allowed="free space, and the permission to write",
        next_step="make room or get the permission, and run the same command again: finished parts are kept",
    )


def arguments(snakemake: Any) -> dict[str, Any]:
    """Keyword arguments of a job: named inputs and outputs as Paths, then `params.settings` and
    `params.untracked` (values that cannot change results).

    Raises ValueError if a rule uses one name twice.
    """
    files = [*snakemake.input.items(), *snakemake.output.items()]
    values = {**snakemake.params.get("settings", {}), **snakemake.params.get("untracked", {})}.items()
    keywords: dict[str, Any] = {}
    for name, value in [*((name, _paths(value)) for name, value in files), *values]:
        if name in keywords:
            raise ValueError(f"rule {snakemake.rule} gives '{name}' twice")
        keywords[name] = value
    return keywords


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


def choose_device(device: str) -> str:
    """The device, cpu or cuda, of a config value "auto" | "cpu" | "cuda"; auto takes a GPU if there is one.

    Raises RelianceError for "cuda" where there is none.
    """
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise RelianceError(
            "compute.device",
            "a device that is asked for must be there",
            found="cuda, but torch sees no GPU",
            allowed="auto, cpu, or cuda on a machine with a GPU",
            next_step="check nvidia-smi and the resources of the job, or write `device: auto`",
        )
    if device == "auto":
        return "cuda" if there else "cpu"
    return device


def _paths(value: str | Iterable[str]) -> Path | list[Path]:
    return Path(value) if isinstance(value, str) else [Path(item) for item in value]
