"""Where a figure is written, and which variants it shows: what every figure is given."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from reliance.base.artifacts import Stamp, write_meta
from reliance.base.writing import atomic
from reliance.figures.style import PREVIEW_DPI


class Sheet(NamedTuple):
    """The files of one figure."""

    pdf: Path
    png: Path  # a preview
    csv: Path  # the numbers behind the figure
    caption: Path  # Markdown

    def write(self, figure: Figure, numbers: pd.DataFrame, stamp: Stamp, words: str) -> None:
        """Write all four, each atomically; beside each lies `<file>.meta.json` with the stamp.

        Equal figures give equal bytes.
        """
        write_figure(figure, self.pdf, stamp)
        write_figure(figure, self.png, stamp)
        write_csv(numbers, self.csv, stamp)
        write_text(words, self.caption, stamp)


class Shown(NamedTuple):
    """The variants that a figure shows."""

    variants: Sequence[str]  # names, in the order of the files that are given per variant
    random_weights: Sequence[bool] = ()  # per variant, whether its encoder was never trained; none: all are
    sizes: Sequence[float] = ()  # of the image towers, per variant; 0: unknown; none: nothing to compare
    skipped: Sequence[str] = ()  # variants without an SAE, which are left out; said in the caption
    skipped_lists: Sequence[str] = ()  # external lists that are set but were not there; said in the caption

    @property
    def several(self) -> bool:
        """Whether the figure compares variants."""
        return len(self.variants) > 1

    @property
    def heading(self) -> str:
        """The title of the figure; it says which encoders were never trained."""
        flags = self.random_weights or [False] * len(self.variants)
        untrained = [name for name, random in zip(self.variants, flags, strict=True) if random]
        if not self.several:
            return f"{self.variants[0]} (random weights)" if untrained else self.variants[0]
        return f"Random weights: {', '.join(untrained)}" if untrained else ""


def write_figure(figure: Figure, path: Path, stamp: Stamp) -> None:
    """Write a figure as PDF or PNG, by suffix, without date or version in the file."""
    kind = path.suffix.lstrip(".")
    hidden = {"pdf": ("CreationDate", "Producer", "Creator"), "png": ("Software",)}[kind]
    with atomic(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=PREVIEW_DPI, metadata=dict.fromkeys(hidden))
    write_meta(path, stamp)


def write_csv(numbers: pd.DataFrame, path: Path, stamp: Stamp) -> None:
    """Write the numbers behind a figure; an unknown value is an empty cell."""
    with atomic(path) as temporary:
        numbers.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
    write_meta(path, stamp)


def write_text(words: str, path: Path, stamp: Stamp) -> None:
    """Write a text, UTF-8, ending in one line break."""
    with atomic(path) as temporary:
        temporary.write_text(words.rstrip("\n") + "\n", encoding="utf-8")
    write_meta(path, stamp)
