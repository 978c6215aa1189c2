"""The command that a user is told to run, with the configuration that the run before it had."""

import shlex
import shutil
import sys
from pathlib import Path

COMMAND = "RELIANCE_COMMAND"  # set by the Snakefile that is called first; its jobs inherit it
CONFIGURES = ("--configfile", "--configfiles", "--config", "-C")


def configured(command: str) -> str:
    """The --configfile and --config of a command line, as it has them; "" without any."""
    kept: list[str] = []
    taking = False
    for word in shlex.split(command):
        option, joined, _ = word.partition("=")
        if word.startswith("-"):
            taking = option in CONFIGURES
        if taking:
            kept.append(word)
            taking = not (word.startswith("-") and joined)  # --configfile=FILE takes no word behind it
    return shlex.join(kept)


def build(*targets: str, options: str = "") -> str:
    """What makes files of results. options : from `configured`, behind the targets, which they swallow."""
    return " ".join(filter(None, ["snakemake --cores 2", *map(shlex.quote, targets), options]))


def program() -> str:
    """How snakemake is called here: by its path, seen from here, where no environment is active."""
    beside = Path(sys.prefix) / "bin" / "snakemake"
    if shutil.which("snakemake") or not beside.exists():
        return "snakemake"
    here = Path.cwd()
    return shlex.quote(str(beside.relative_to(here) if here in beside.parents else beside))
