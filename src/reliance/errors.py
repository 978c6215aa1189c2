"""One exception type for everything a user can cause, in five parts."""

from typing import Any


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
        self.where = printable(str(where))
        self.rule = printable(rule, keep="\n")
        self.found = _short(printable(found if isinstance(found, str) else repr(found)))
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


def printable(text: str, keep: str = "") -> str:
    """Text with all but printable characters and `keep` escaped: names of files may hold anything."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def _rebuild(where: str, rule: str, found: str, allowed: str, next_step: str) -> RelianceError:
    error = RelianceError(where, rule, found="", allowed=allowed, next_step=next_step)
    error.found = found  # was cut before
    error.args = (where, rule, found, allowed, next_step)
    return error


def _short(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
