"""One exception type for everything a user can cause, in five parts."""

import reprlib
import shlex
from pathlib import Path
from typing import Any

RESULTS = "results"  # where the pipeline writes, seen from where it is run
WHERE_LIMIT, FOUND_LIMIT = 500, 300  # characters


class RelianceError(Exception):
    """An error that tells the user what to do next.

    Parameters
    ----------
    where : the config key or file the error is about.
    rule : the rule that is broken.
    found : the value found there.
    allowed : what is allowed instead.
    next_step : the likely cause and what to do.
    """

    def __init__(self, where: object, rule: str, *, found: object, allowed: str, next_step: str) -> None:
        self.where = _short(printable(str(where)), WHERE_LIMIT)
        self.rule = printable(rule, keep="\n")
        self.found = _short(printable(shown(found)), FOUND_LIMIT)
        self.allowed = printable(allowed, keep="\n")
        self.next_step = printable(next_step, keep="\n")
        super().__init__(self.where, self.rule, self.found, self.allowed, self.next_step)

    def __reduce__(self) -> tuple[Any, ...]:
        """The error may cross processes (workers of a data loader), message and all."""
        return _rebuild, self.args

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.rule}\n"
            f"  found:   {self.found}\n"
            f"  allowed: {self.allowed}\n"
            f"  next:    {self.next_step}"
        )


def make_again(path: object, *, with_parts: bool = False) -> str:
    """What to do about an artifact that cannot be used: the command that makes it again.

    with_parts : of a manifest, the parts that it lists too.
    """
    artifact = Path(str(path))
    if artifact.parts[:1] != (RESULTS,):
        return f"{artifact} does not lie in {RESULTS}/ here: get it again from where it was made"
    file, folder = (shlex.quote(str(p)) for p in (artifact, artifact.parent))
    parts = with_parts and artifact.name == "manifest.json"
    command = (
        f"rm -r {folder} && snakemake --cores 2 {file}" if parts else f"snakemake --cores 2 --force {file}"
    )
    return f"make it again with `{command}` and the --configfile and --config of this run"


def run_again(rule: str) -> str:
    """The command that runs a rule again. A target behind --forcerun would be taken for a rule."""
    command = f"snakemake --cores 2 TARGET --forcerun {rule}"
    return f"run `{command}` with the --configfile and --config of this run"


def shown(value: object) -> str:
    """A value in words, cut where it is deep, long or inside itself; what is blank stands in quotes."""
    if isinstance(value, str):
        return value if value.strip() else repr(value)
    return _SHOWN.repr(value)


def printable(text: str, keep: str = "") -> str:
    """Text with all but printable characters and `keep` escaped: names of files may hold anything."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def _rebuild(where: str, rule: str, found: str, allowed: str, next_step: str) -> RelianceError:
    error = RelianceError(where, rule, found="", allowed=allowed, next_step=next_step)
    error.found = found  # was cut before
    error.args = (where, rule, found, allowed, next_step)
    return error


class _Shown(reprlib.Repr):
    """Python's `repr`, but of bounded size: a few lines of YAML can stand for billions of values."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 12
        self.maxstring = self.maxother = self.maxlong = FOUND_LIMIT

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # Python refuses to write very long numbers
            return f"a whole number of {x.bit_length()} bits"


_SHOWN = _Shown()


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
