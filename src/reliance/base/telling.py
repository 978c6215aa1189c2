"""What a person is to see while a job runs: on the terminal too, and not only in the job's log."""

import logging
import os

from reliance.base.errors import printable

_TOLD = "told"


def tell(log: logging.Logger, message: str, *values: object) -> None:
    """Log a warning that `Terminal` shows."""
    log.warning(message, *values, extra={_TOLD: True})


class Terminal(logging.Handler):
    """Writes what was told to a file descriptor: the terminal, while everything else goes to the log."""

    def __init__(self, descriptor: int, title: str) -> None:
        super().__init__(logging.WARNING)
        self._descriptor, self._title = descriptor, title

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message of a record on one line, if it was told."""
        if getattr(record, _TOLD, False):
            line = f"WARNING in {self._title}: {printable(record.getMessage())}\n"
            os.write(self._descriptor, line.encode(errors="backslashreplace"))
