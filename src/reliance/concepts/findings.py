"""What the paper found about components, held against numbers (Sec. 5.2, Fig. 4).

No interval is given for counts: they are of all components there are. A count holds if it is on the
paper's side and fails otherwise; it is undecided if a table has no named component. No effect holds
below RISES, or below MORE times the other number.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.claims import Finding, larger_is_more, positive, sizeable
from reliance.concepts.concepts import (
    Correlation,
    correlation,
    low_share,
    named,
    unique_concepts,
    with_clarity,
)
from reliance.encoders.text import WRITTEN

UNWRITTEN = ", written words not counted"
RISES = 0.1  # a correlation below is no rise
MORE = 0.05  # a share of the other number below which "more" is not said to hold
MOST = 0.5  # the share from which "a large share" is said to hold
BASES = {
    "neurons": "the neurons",
    "pca": "the principal axes",
    "random": "random directions",
    "untrained": "an SAE before its training",
}


class Measure(NamedTuple):
    """What clarity is compared with."""

    label: str  # of the axis
    words: str
    log: bool


MEASURES = {
    "top5_mean": Measure("mean activation, top 5", "the mean of the five strongest activations", False),
    "mean": Measure("mean activation, all images", "the logarithm of the mean activation", True),
    "n_active": Measure("images it fires on", "the logarithm of the number of images it fires on", True),
}


def findings(
    components: pd.DataFrame, others: Mapping[str, pd.DataFrame], baseline: pd.DataFrame
) -> list[Finding]:
    """The findings on an SAE's components on the train split (Fig. 4); see also `clarity_findings`.

    components : columns of COMPONENTS. others : the same of other bases, of BASES, by name.
    baseline : columns of ALIGNMENTS.
    """
    frames = {"sae": components, **others}
    unwritten = {name: without_written_words(frame) for name, frame in frames.items()}
    own = []
    if any(len(unwritten[name]) < len(frame) for name, frame in frames.items()):
        for f in _diversity(unwritten):
            own.append(f._replace(name=f"unwritten_{f.name}", claim=f"{f.claim}{UNWRITTEN}"))
    low = _low_in_both(components)
    return [*_diversity(frames), *own, _clarity(components), low, _alignment(components, baseline)]


def size_findings(frames: Mapping[str, pd.DataFrame], sizes: Sequence[float]) -> list[Finding]:
    """Whether larger models have more concepts (Sec. 5.2).

    frames : components of the SAE per variant, columns of COMPONENTS. sizes : of the image towers of the
    variants, in their order; 0: unknown.
    """
    if len(sizes) != len(frames):
        return []
    counts = {name: [float(named(frame)["label"].nunique())] for name, frame in frames.items()}
    return larger_is_more("larger_models", "larger models have more different concepts", counts, sizes, MORE)


def without_written_words(frame: pd.DataFrame) -> pd.DataFrame:
    """The components whose label is no written word: that phrase doubles the names there are."""
    return frame[~frame["label"].str.startswith(WRITTEN.format(""))]


def _diversity(frames: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """More different labels than in another basis: of all components, and of equally many."""
    table = unique_concepts(frames).set_index("name")
    found = []
    for name in (n for n in BASES if n in frames):
        words = BASES[name]
        both = table.loc[["sae", name]]
        known = bool((both["n_components"] > 0).all())
        for column, counted in (("n_unique", "unique"), ("rarefied", "unique_at_equal_numbers")):
            ours, theirs = both[column].to_list()
            numbers = f"({ours} labels on {both['n_components'].iloc[0]} components against {theirs} on "
            numbers += f"{both['n_components'].iloc[1]})"
            where = "over all components"
            if column == "rarefied":
                drawn = int(table["n_components"].min())
                known = known and drawn > 0
                where = f"at {drawn} components drawn from each"
                numbers = f"({ours:.1f} labels expected against {theirs:.1f})"
            claim = f"the SAE finds more different concepts than {words}"
            numbers = numbers if known else "(one of them has no component with a name)"
            holds = sizeable(bool(ours > theirs), ours - theirs, MORE * theirs) if known else None
            found.append(Finding(f"{counted}:{name}", holds, claim, f"{where} {numbers}", known))
    return found


def _clarity(components: pd.DataFrame) -> Finding:
    """Holds if the 95 % interval of the correlation is above 0, undecided if it includes 0."""
    found = correlation(components, "top20_mean")
    numbers = f"on the train split ({_interval(found)}, {found.n} components)"
    claim = "components that fire more strongly are clearer"
    return Finding("activation_clarity", _rises(found), claim, numbers, not np.isnan(found.low))


def _low_in_both(components: pd.DataFrame) -> Finding:
    """Holds if more than MOST of the components lie below the middle of the range of both (Fig. 4 a)."""
    points = with_clarity(components, "top20_mean")
    share = low_share(points["top20_mean"].to_numpy(np.float64), points["clarity"].to_numpy(np.float64))
    claim = "most components are neither clear nor strong"
    if np.isnan(share):
        return Finding("low_in_both", None, claim, "(no component has a clarity)", False)
    numbers = f"on the train split ({100 * share:.0f} % of {len(points)} components are below the middle of "
    numbers += f"both ranges, where more than {100 * MOST:.0f} % are most)"
    return Finding("low_in_both", share > MOST, claim, numbers)


def _alignment(components: pd.DataFrame, baseline: pd.DataFrame) -> Finding:
    """Holds if more than MOST of the named components are below the median class.

    The comparison favours components: their label is the best of a whole vocabulary, a class has
    but its own name.
    """
    alignment, median = named(components)["alignment"], baseline["alignment"].median()
    claim = "most components fit the best of all names less well than a class fits its own name"
    if not (len(alignment) and len(baseline)):
        return Finding(
            "below_baseline", None, claim, "(no component has a name, or no class has images)", False
        )
    below = (alignment < median).mean()
    numbers = f"({100 * below:.0f} % of {len(alignment)} components are below the median {median:.3f} "
    return Finding("below_baseline", bool(below > MOST), claim, f"{numbers}of {len(baseline)} classes)")


def clarity_findings(frame: pd.DataFrame) -> list[Finding]:
    """What the paper found on clarity and activations on the test split (App. C.1, Fig. 9).

    A correlation is positive if its interval lies above 0. That of the strongest activations is the
    largest if its interval lies above the others', and is not if it lies below one of them.
    """
    all_r = {column: correlation(frame, column, m.log) for column, m in MEASURES.items()}
    found = [
        Finding(
            f"positive:{column}",
            _rises(r),
            f"clarity rises with {MEASURES[column].words}",
            f"on the test split ({_interval(r)}, {r.n} components)",
            not np.isnan(r.low),
        )
        for column, r in all_r.items()
    ]
    top, *others = all_r.values()
    above = all(top.low > other.high for other in others)
    below = any(top.high < other.low for other in others)
    numbers = " and ".join(_interval(other) for other in others)
    claim = "of the three, the mean of the five strongest activations correlates most with clarity"
    holds = True if above else False if below else None
    said = _interval(top) if np.isnan(top.low) else f"{_interval(top)} against {numbers}"
    where = f"on the test split ({said})"
    return [*found, Finding("strongest", holds, claim, where, not np.isnan(top.low))]


def _rises(found: Correlation) -> bool | None:
    return sizeable(positive(found.low, found.high), found.r, RISES)


def _interval(found: Correlation) -> str:
    if np.isnan(found.low):
        return "too few for r"
    return f"r = {found.r:+.2f} [{found.low:+.2f}, {found.high:+.2f}], Spearman {found.spearman:+.2f}"
