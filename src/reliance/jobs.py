"""The wrapper around every script: its log, its arguments, its one-line error."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reliance.errors import RelianceError


def run(snakemake: Any, function: Callable[..., object]) -> None:
    """Call `function` with the job's named inputs, outputs and `params.settings` as keywords.

    Everything the process prints goes to the job's log. On an error the log has the
    traceback, the terminal has the message and the log's path, and the process exits with 1.
    """
    log = Path(snakemake.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.dup(2)
    with open(log, "w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr, force=True)
    logging.captureWarnings(True)
    try:
        function(**arguments(snakemake))
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        wildcards = ", ".join(f"{k}={v}" for k, v in snakemake.wildcards.items())
        message = str(error) if isinstance(error, RelianceError) else f"{type(error).__name__}: {error}"
        text = f"\nERROR in {snakemake.rule} [{wildcards}]\n{message}\n  full log: {log}\n\n"
        os.write(terminal, text.encode())
        sys.exit(1)


def arguments(snakemake: Any) -> dict[str, Any]:
    """Keyword arguments of a job: named inputs and outputs as Paths, then `params.settings`."""
    keywords: dict[str, Any] = {}
    for group in (snakemake.input, snakemake.output):
        for name, value in group.items():
            keywords[name] = Path(value) if isinstance(value, str) else [Path(v) for v in value]
    keywords.update(snakemake.params.get("settings", {}))
    return keywords
