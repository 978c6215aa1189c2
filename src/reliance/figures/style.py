"""How every figure looks.

One look for all: vector PDF with text as text, fonts that ship with matplotlib (so that a figure
is the same on every machine), one colour and marker per probe and failure kind wherever it
appears. The palettes keep their members apart for colour-blind readers.
"""

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import matplotlib as mpl

from reliance.base.failure_kinds import FAILURE_KINDS

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
_KINDS = {
    "polysemous": ("#0072b2", "o"),
    "compound": ("#009e73", "s"),
    "typography": ("#d68ab8", "^"),
    "spurious": ("#d55e00", "D"),
    "lookalike": ("#7b3f00", "p"),
    "other": ("#555555", "v"),
}
FAILURES: dict[str, Look] = {k: Look(FAILURE_KINDS[k].title, *look) for k, look in _KINDS.items()}
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
    "random": Look("Random", "#6b6b6b", "X"),
    "untrained": Look("Untrained", "#7fb2d9", "v"),
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
