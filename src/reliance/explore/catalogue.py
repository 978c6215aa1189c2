"""Which variants a folder of results has, and what is built of each."""

from pathlib import Path
from typing import NamedTuple

from reliance.base.commands import build
from reliance.base.errors import RelianceError
from reliance.explore.describe import DESCRIPTION, read_description
from reliance.explore.tables import Tables


class Entry(NamedTuple):
    """A variant in a folder of results."""

    variant: str
    encoder: str
    dataset: str
    sae: bool  # whether it has one
    files: int  # that it can have
    built: int
    page: str  # path of its page; "" if it is not built
    missing: list[str]  # names of what is not built, as a Study has them


def catalogue(results: Path) -> list[Entry]:
    """The variants below a folder of results, by name.

    Raises RelianceError if there is no such folder, or none in it that was described.
    """
    folders = sorted(path.parent for path in results.glob(f"*/{DESCRIPTION}"))
    if not folders:
        pages = _pages(results)
        raise RelianceError(
            results,
            f"a folder of results has a folder with {DESCRIPTION} per variant",
            found=_found(results),
            allowed="the folder `results` of a run",
            next_step=f"name it with --results, or build something first: {_first(pages)}",
        )
    return [_entry(folder) for folder in folders]


def _pages(results: Path) -> list[str]:
    """Variants that have a page, described or not."""
    return sorted(path.parent.name for path in results.glob("*/report.html"))


def _first(pages: list[str]) -> str:
    command = build(*(f"results/{name}/{DESCRIPTION}" for name in pages[:1]))
    return f"{command} with the --configfile and --config of its run" if pages else command


def _found(results: Path) -> str:
    if not results.is_dir():
        return "no such folder"
    pages = ", ".join(_pages(results))
    return f"none, though there are pages of {pages}, which an older version wrote" if pages else "none"


def _entry(folder: Path) -> Entry:
    variant, files, about = read_description(folder)
    tables = Tables(files, variant, folder.parent)
    names = tables.listed()
    missing = [f"{name}.{key}" if key else name for name, key in names if not tables.has(name, key)]
    return Entry(
        variant,
        str(about.get("encoder", "")),
        str(about.get("dataset", "")),
        bool(about.get("sae")),
        len(names),
        len(names) - len(missing),
        str(tables.path("page")) if tables.has("page") else "",
        missing,
    )
