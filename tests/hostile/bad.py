"""What a bad input is, and what may become of it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from reliance.base.errors import RelianceError

HTML = "<script>alert(1)</script><img src=x onerror=alert(1)>"
RTL, CONTROL, LONG = "\u202egpj.exe", "a\x1b[2Jb", "x" * 100_000


class Bad(NamedTuple):
    """One bad input: `run` makes it in a folder and uses it; `check` says whether the outcome is right."""

    name: str
    run: Callable[[Path], object]
    check: Callable[[Callable[[], object]], None]


def refused(where: str, found: str = "") -> Callable[[Callable[[], object]], None]:
    """It ends in one error in five parts, whose first names `where` and whose third shows `found`."""

    def check(run: Callable[[], object]) -> None:
        with pytest.raises(RelianceError) as caught:
            run()
        error = caught.value
        parts = (error.where, error.rule, error.found, error.allowed, error.next_step)
        assert all(part.strip() for part in parts), parts
        assert where in error.where and found in error.found, parts
        assert all(c.isprintable() or c == "\n" for c in str(error))
        assert len(str(error)) < 5000

    return check


def gives(expected: object) -> Callable[[Callable[[], object]], None]:
    """It is used, or left out, and that is said: `run` returns this."""

    def check(run: Callable[[], object]) -> None:
        found = run()
        assert found == expected, found

    return check


def excluded(status: str, reason: str) -> Callable[[Callable[[], object]], None]:
    """It is listed as "left out" of the index or "unreadable", for a reason that holds these words."""

    def check(run: Callable[[], object]) -> None:
        found = run()
        assert isinstance(found, tuple) and found[0] == status and reason in found[1], found

    return check
