"""How every figure looks, and how it is written.

One look for all: vector PDF with text as text, fonts that ship with matplotlib (so that a figure
is the same on every machine), one colour and marker per probe and failure kind wherever it
appears. The palettes keep their members apart for colour-blind readers.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from reliance.base.artifacts import Stamp, write_meta
from reliance.base.writing import atomic

PAGE = 6.9  # width of a page of text, inches
PREVIEW_DPI = 220
FONTS = ["DejaVu Sans"]  # ships with matplotlib
INK, MUTED, GRID, TINT = "#222222", "#6e6e6e", "#dedede", "#f4f1ea"


class Look(NamedTuple):
    """How one member of a palette is drawn and called."""

    label: str
    color: str
    marker: str = "o"
    dashes: tuple[float, ...] = ()  # on, off, on, off, ... in line widths; none: a solid line


PROBES: dict[str, Look] = {
    "short": Look("text: short name", "#0072b2", "o"),
    "templated": Look("text: templates", "#86c0ea", "^"),
    "extended": Look("text: full name", "#1a9e77", "s"),
    "both": Look("text: full + templates", "#3d1a5e", "D"),
    "linear": Look("linear probe", "#e0641b", "P"),
}
KINDS: dict[str, Look] = {
    "polysemous": Look("Polysemous words", "#0072b2", "o"),
    "compound": Look("Compound nouns", "#009e73", "s"),
    "typography": Look("Visual typography", "#d68ab8", "^"),
    "spurious": Look("Spurious correlations", "#d55e00", "D"),
    "lookalike": Look("Look-alike classes", "#7b3f00", "p"),
    "other": Look("Other", "#555555", "v"),
}
METHODS: dict[str, Look] = {
    "act_x_grad": Look("Act × Grad", "#0072b2", "o"),
    "ablation": Look("Leave one out", "#6db8ee", "^", (1.5, 1)),
    "integrated_gradients": Look("Integrated Gradients", "#d5521a", "s"),
    "act_x_lens": Look("Act × Logit Lens", "#3d1a5e", "D", (5, 1.5)),
    "logit_lens": Look("Logit Lens", "#0f7a4f", "v", (5, 1.2, 1.2, 1.2)),
    "energy": Look("Energy", "#e3b800", "P"),
    "random": Look("Random", "#a3a3a3", "X", (2.5, 1.5)),
    "greedy": Look("Greedy (oracle)", INK, "", (1, 1.5)),
}
BASES: dict[str, Look] = {
    "neurons": Look("Neurons", "#b3b3b3", "s"),
    "pca": Look("PCA", "#e0a03c", "D"),
    "sae": Look("SAE", "#0072b2", "o"),
}
AUDITED: dict[str, Look] = {
    "plain": Look("plain probe", "#e0641b", "P"),
    "robust": Look("robust probe", "#0072b2", "o"),
}

_RC: dict[str, Any] = {
    "font.family": FONTS,
    "mathtext.fontset": "dejavusans",
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.pad": 2,
    "ytick.major.pad": 2,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.6,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "legend.handletextpad": 0.3,
    "legend.columnspacing": 1.2,
    "figure.dpi": PREVIEW_DPI,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class name with two dollar signs is no formula
    "text.usetex": False,
}


def rc() -> AbstractContextManager[None]:
    """The look of all figures, as a context: `with rc(): ...`. Ignores the user's own matplotlibrc."""
    clean: Any = {**dict(mpl.rcParamsDefault.items()), **_RC}
    clean.pop("backend", None)
    return mpl.rc_context(clean)


def heading(names: Sequence[str], random_weights: Sequence[bool]) -> str:
    """The title of a figure about some models; it says which of their encoders were never trained.

    Parameters
    ----------
    names : one per model; a single one is the title.
    random_weights : one flag per model, or none at all if every encoder is trained.
    """
    untrained = [n for n, r in zip(names, random_weights, strict=True) if r] if random_weights else []
    if len(names) == 1:
        return f"{names[0]} (random weights)" if untrained else names[0]
    return f"Random weights: {', '.join(untrained)}" if untrained else ""


def save(
    figure: Figure,
    numbers: pd.DataFrame,
    stamp: Stamp,
    *,
    pdf: Path,
    png: Path,
    csv: Path,
    caption: Path,
    words: str,
) -> None:
    """Write a figure, its preview, the numbers behind it and its caption, each atomically.

    Beside each file lies `<file>.meta.json` with the stamp. Equal figures give equal bytes.
    """
    write_figure(figure, pdf, stamp)
    write_figure(figure, png, stamp)
    write_csv(numbers, csv, stamp)
    write_text(words, caption, stamp)


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
