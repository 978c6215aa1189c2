"""One exception type for everything a user can cause, in five parts."""


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
        self.where = str(where)
        self.rule = rule
        self.found = _short(found)
        self.allowed = allowed
        self.next_step = next_step
        super().__init__(where, rule, self.found, allowed, next_step)

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.rule}\n"
            f"  found:   {self.found}\n"
            f"  allowed: {self.allowed}\n"
            f"  next:    {self.next_step}"
        )


def _short(value: object, limit: int = 300) -> str:
    """Text of a value on one line, control characters escaped, cut at `limit` characters."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
