"""What a person is to see while a job runs: on the terminal too, and not only in the job's log."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reliance.base.errors import printable

_TOLD = "told"


def tell(log: logging.Logger, message: str, *values: object) -> None:
    """Log a warning that `Terminal` shows."""
    log.warning(message, *values, extra={_TOLD: True})


def mention(log: logging.Logger, message: str, *values: object) -> None:
    """Log what went as it should, and show it all the same."""
    log.info(message, *values, extra={_TOLD: True})


class Terminal(logging.Handler):
    """Writes what was told to a file descriptor: the terminal, while everything else goes to the log.

    before : is written before it, to take a bar away.
    """

    def __init__(self, descriptor: int, title: str, before: str = "") -> None:
        super().__init__(logging.INFO)
        self._descriptor, self._title, self._before = descriptor, title, before

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message of a record on one line, if it was told."""
        if getattr(record, _TOLD, False):
            kind = "WARNING in " if record.levelno >= logging.WARNING else ""
            line = f"{self._before}{kind}{self._title}: {printable(record.getMessage())}\n"
            os.write(self._descriptor, line.encode(errors="backslashreplace"))


Show = Callable[[int, int, str], None]
_SHOWN_BY: list[Show] = []  # the last one counts


def advance(done: int, total: int, what: str) -> None:
    """How far a long loop is, "120 of 3000 steps": for who looks at a terminal, and for nobody else."""
    if _SHOWN_BY:
        _SHOWN_BY[-1](done, total, what)


@contextmanager
def shown(show: Show | None) -> Iterator[None]:
    """While it is open, `show` is told how far loops are; None: nobody is."""
    if show is not None:
        _SHOWN_BY.append(show)
    try:
        yield
    finally:
        if show is not None:
            _SHOWN_BY.remove(show)
