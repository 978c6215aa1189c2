"""The wrapper around every script: its log, its arguments, its one-line error."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from reliance.errors import RelianceError, printable


def run(snakemake: Any, function: Callable[..., object]) -> None:
    """Call `function` with the job's named inputs, outputs and `params` (settings, untracked) as keywords.

    Everything the process prints goes to the job's log. On an error the log has the
    traceback, the terminal has the message and the log's path, and the process exits with 1.
    """
    log = Path(snakemake.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.dup(2)
    with open(log, "w", encoding="utf-8") as stream:
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
    text = str(error)
    if not isinstance(error, RelianceError):
        first = next(filter(None, map(str.strip, text.splitlines())), "")
        text = f"{type(error).__name__}: {printable(first)}" if first else type(error).__name__
    title = f"{snakemake.rule} [{wildcards}]" if wildcards else snakemake.rule
    return f"\nERROR in {title}\n{text}\n  full log: {snakemake.log[0]}\n\n"


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
