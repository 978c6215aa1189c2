"""The wrapper around every job: its log, its arguments, its one-line error."""

import errno
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

from reliance.base.errors import RelianceError, printable
from reliance.base.telling import Terminal, shown
from reliance.running.progress import CLEAR, reporter

_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def run(snakemake: Any, function: Callable[..., object]) -> None:
    """Call `function` with the job's named inputs, outputs and `params` (settings, untracked) as keywords.

    Where the function takes a bundle, the keywords that are its fields are handed over as one.

    Everything the process prints goes to the job's log; what is told (telling.tell) goes to the terminal
    too. On an error the log has the traceback, the terminal has the message and the log's path, and the
    process exits with 1.
    """
    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.dup(2)
    with open(path, "w", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr, force=True)
    logging.captureWarnings(True)
    noted = reporter(_title(snakemake), terminal)
    before = CLEAR if noted else ""
    logging.getLogger().addHandler(Terminal(terminal, _title(snakemake), before))
    try:
        with shown(noted):
            function(**bundled(function, arguments(snakemake)))
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        os.write(terminal, (before + message(snakemake, error)).encode(errors="backslashreplace"))
        sys.exit(1)
    finally:
        if noted:
            noted.close()


def message(snakemake: Any, error: Exception) -> str:
    """What the terminal shows of a failed job: the rule, its wildcards, the message, the log's path."""
    if isinstance(error, OSError) and error.errno in _STORAGE:
        error = _storage(error, list(snakemake.output))
    text = str(error)
    if not isinstance(error, RelianceError):
        first = next(filter(None, map(str.strip, text.splitlines())), "")
        text = f"{type(error).__name__}: {printable(first)}" if first else type(error).__name__
    return f"\nERROR in {_title(snakemake)}\n{text}\n  full log: {snakemake.log[0]}\n\n"


def _title(snakemake: Any) -> str:
    """The rule of a job and its wildcards."""
    wildcards = ", ".join(f"{k}={v}" for k, v in snakemake.wildcards.items())
    return f"{snakemake.rule} [{wildcards}]" if wildcards else str(snakemake.rule)


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

    `params.literal` holds inputs that Snakemake was not told of: {name: [[place in a list or -1, path]]}.
    Raises ValueError if a rule uses one name twice.
    """
    inputs = dict(snakemake.input.items())
    for name, files in snakemake.params.get("literal", {}).items():
        for place, path, *_ in files:
            others = [] if place < 0 else list(inputs.get(name, []))
            inputs[name] = path if place < 0 else [*others[:place], path, *others[place:]]
    files = [*inputs.items(), *snakemake.output.items()]
    values = {**snakemake.params.get("settings", {}), **snakemake.params.get("untracked", {})}.items()
    keywords: dict[str, Any] = {}
    for name, value in [*((name, _paths(value)) for name, value in files), *values]:
        if name in keywords:
            raise ValueError(f"rule {snakemake.rule} gives '{name}' twice")
        keywords[name] = value
    return keywords


def bundled(function: Callable[..., object], keywords: dict[str, Any]) -> dict[str, Any]:
    """The keywords as the function takes them: those named like the fields of a bundle become one.

    A bundle is a NamedTuple, or a section of the configuration. A name may be a field of several. An optional
    bundle (`Files | None`) of which no field is given is left to its default. Raises TypeError, or pydantic's
    ValidationError, if a field without default is not given.
    """
    parameters = inspect.signature(function, eval_str=True).parameters
    found, used = dict(keywords), set[str]()
    for name, parameter in parameters.items():
        bundle = next(filter(_fields, [parameter.annotation, *get_args(parameter.annotation)]), None)
        if bundle and (given := {field: keywords[field] for field in _fields(bundle) if field in keywords}):
            found[name] = bundle(**given)
            used |= set(given) - set(parameters)
    return {name: value for name, value in found.items() if name not in used}


def _fields(kind: Any) -> tuple[str, ...]:
    """Names of the fields of a NamedTuple or of a section of the configuration; none of anything else."""
    return tuple(getattr(kind, "_fields", ())) or tuple(getattr(kind, "model_fields", ()))


def _paths(value: str | Iterable[str]) -> Path | list[Path]:
    return Path(value) if isinstance(value, str) else [Path(item) for item in value]
