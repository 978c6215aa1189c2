"""The formats by name: one row and one module each. `auto` is the first that a file looks like."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.units.sae.formats import eleuther, openai, overcomplete, paper, plain, prisma, saelens
from reliance.units.sae.formats.canonical import JUMP, Foreign, RefusedError, refusal
from reliance.units.sae.formats.source import Source, open_source

AUTO = "auto"


class Format(NamedTuple):
    """A row of the table."""

    fits: Callable[[Source], bool]
    read: Callable[[Source, int | None], Foreign]  # with the k that was asked for, if any


FORMATS = {
    "plain": Format(plain.fits, plain.read),
    "prisma": Format(prisma.fits, prisma.read),
    "saelens": Format(saelens.fits, saelens.read),
    "paper": Format(paper.fits, paper.read),
    "overcomplete": Format(overcomplete.fits, overcomplete.read),
    "sparsify": Format(eleuther.fits, eleuther.read),
    "openai": Format(openai.fits, openai.read),
}
NAMES = (AUTO, *FORMATS)


class Found(NamedTuple):
    """An SAE of somebody else, read."""

    foreign: Foreign
    format: str
    path: Path


def read_foreign(files: list[Path], name: str = AUTO, k: int | None = None) -> Found:
    """Read an SAE in a format. Raises RelianceError if it is in none, or cannot be held in our form."""
    source = open_source(files)
    chosen = [n for n, row in FORMATS.items() if row.fits(source)] if name == AUTO else [name]
    if not chosen or not FORMATS[chosen[0]].fits(source):
        names = sorted(source.tensors)
        raise RelianceError(
            source.path,
            "an SAE that is imported is in a format that is known"
            if name == AUTO
            else f"it is in the format {name}",
            found=f"the tensors {', '.join(names[:12])}{' ...' if len(names) > 12 else ''}",
            allowed=", ".join(FORMATS),
            next_step="write its tensors under the four names of the format plain, or correct sae.format",
        )
    try:
        foreign = FORMATS[chosen[0]].read(source, k)
        said = None if k is None or foreign.activation == JUMP else FORMATS[chosen[0]].read(source, None).k
    except RefusedError as error:
        raise refusal(source.path, chosen[0], error) from error
    except KeyError as error:
        raise refusal(source.path, chosen[0], RefusedError(f"the tensor {error} is missing")) from error
    if said not in (None, k):
        raise RelianceError(
            source.path,
            "k is what the SAE was trained with",
            found=f"k: {k} beside import, k = {said} in the file",
            allowed=f"k = {said}",
            next_step="leave k out of the section sae: it is for files that do not say it",
        )
    return Found(foreign, chosen[0], source.path)
