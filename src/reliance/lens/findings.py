"""What the paper on the second-order lens found, held against numbers of each block.

Accuracies are of the same images, so that a difference of d has a standard error below sqrt(|d| / n); the
binomial error of one accuracy is taken, which is larger where d is small. A difference counts as small within
two points.
"""

from collections.abc import Mapping
from math import sqrt

import numpy as np
import pandas as pd

from reliance.base.claims import Finding, positive, small
from reliance.base.means import interval, wilson

MARGIN, WIDE = 0.02, 1.96
FEW = 0.02  # share of images: "for few"
MANY = 0.05  # a fall that there must be for something to be kept

WAYS = {  # how words of misleading pictures are found
    "neurons": "words by what neurons write",
    "indirect": "words by neurons ablated in a pass",
    "similar": "words along the difference of the prompts",
    "random": "words at random",
    "nothing": "nothing around the thing",
}


def at(accuracy: pd.DataFrame, method: str, value: float | None = None) -> float:
    """The accuracy of a method, nan if it was not computed."""
    own = accuracy[accuracy["method"] == method]
    if value is not None:
        own = own[np.isclose(own["value"], value)]
    return float(own["accuracy"].iloc[0]) if len(own) else float("nan")


def few(accuracy: pd.DataFrame) -> float:
    """The share of images nearest to FEW that accuracies were computed for."""
    shares = accuracy.loc[accuracy["method"] == "significant", "value"]
    return float(shares.iloc[(shares - FEW).abs().argmin()]) if len(shares) else float("nan")


def error(accuracy: pd.DataFrame) -> float:
    """Half of the 95 % interval of the baseline."""
    base, n = at(accuracy, "baseline"), max(1, int(accuracy["images"].max()))
    return WIDE * sqrt(max(base * (1 - base), 1 / n) / n)


def percent(value: float) -> str:
    """A share in percent."""
    return "unknown" if np.isnan(value) else f"{100 * value:.1f} %"


def findings(accuracies: Mapping[str, pd.DataFrame], truths: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Of each block by its name: columns of ACCURACY and, of planted data, of LENS_TRUTH."""
    found = []
    for block, accuracy in accuracies.items():
        found += [_matters(block, accuracy), _few(block, accuracy), _direction(block, accuracy)]
    found += [_polysemous(block, truth) for block, truth in truths.items()]
    return found


def _matters(block: str, accuracy: pd.DataFrame) -> Finding:
    base, without, half = at(accuracy, "baseline"), at(accuracy, "second_order"), error(accuracy)
    fall = base - without
    claim = "what neurons write through later attention matters: accuracy falls without it"
    numbers = f"in {block} ({percent(base)} to {percent(without)})"
    return Finding(f"lens_matters:{block}", positive(fall - half, fall + half), claim, numbers)


def _few(block: str, accuracy: pd.DataFrame) -> Finding:
    share = few(accuracy)
    base, rest = at(accuracy, "baseline"), at(accuracy, "insignificant", share)
    half, fall = error(accuracy), base - rest
    claim = "a neuron matters on few images: accuracy stays without its effects on the others"
    kept = f"with effects on {percent(share)} of images alone"
    numbers = f"in {block} ({percent(base)} to {percent(rest)} {kept})"
    return Finding(f"lens_few:{block}", _kept(accuracy, fall, half), claim, numbers)


def _direction(block: str, accuracy: pd.DataFrame) -> Finding:
    base, along, half = at(accuracy, "baseline"), at(accuracy, "direction"), error(accuracy)
    claim = "one direction per neuron suffices: accuracy stays with effects along it alone"
    numbers = f"in {block} ({percent(base)} to {percent(along)})"
    return Finding(f"lens_direction:{block}", _kept(accuracy, base - along, half), claim, numbers)


def _kept(accuracy: pd.DataFrame, fall: float, half: float) -> bool | None:
    """Whether accuracy is kept; undecided where there was little to lose."""
    lost = at(accuracy, "baseline") - at(accuracy, "second_order")
    return None if lost < MANY else small(fall - half, fall + half, MARGIN)


def _polysemous(block: str, truth: pd.DataFrame) -> Finding:
    known = truth[truth["images"] > 0]
    share, n = (known["things"] > 1).mean(), max(1, len(known))
    half = WIDE * sqrt(max(share * (1 - share), 1 / n) / n)
    claim = "most neurons are polysemous: their strongest images show several things"
    numbers = f"in {block} ({percent(share)} of {len(known)} neurons, by what was drawn)"
    verdict = positive(share - half - 0.5, share + half - 0.5)
    return Finding(f"lens_polysemous:{block}", verdict, claim, numbers)


def segmented(scores: pd.DataFrame) -> list[Finding]:
    """Columns of SEGMENTS: whether neurons segment better than each baseline, by pictures, as pairs."""
    iou = scores.pivot(index="image_id", columns="method", values="iou")
    found = []
    for baseline in ("raw attention", "rollout", "random neurons"):
        both = iou[["signed neurons", baseline]].dropna().mean()
        _, low, high = interval((iou["signed neurons"] - iou[baseline]).to_numpy())
        numbers = f"against {baseline} (IoU {both['signed neurons']:.3f} and {both[baseline]:.3f})"
        claim = "neurons segment the class that wins better than the baselines"
        found.append(Finding(f"lens_segments:{baseline}", positive(low, high), claim, numbers))
    return found


def carried(cases: pd.DataFrame) -> list[Finding]:
    """Columns of CASES: whether a few heads carry written words, against random ones, by cases, as pairs."""
    typed = cases[cases["kind"] == "typography"]
    if typed.empty:
        return []
    area = typed.groupby(["failure_id", "ablated"])["auc"].mean().unstack()
    _, low, high = interval((area["heads"] - area["random heads"]).to_numpy())
    before, after, drawn = (area[name].mean() for name in ("nothing", "heads", "random heads"))
    numbers = f"in {len(area)} cases (AUC {before:.3f}, {after:.3f} without them, {drawn:.3f} without others)"
    claim = "two heads carry a written word: own images are told from it without them"
    return [Finding("lens_heads:typography", positive(low, high), claim, numbers)]


def misled(attacks: pd.DataFrame, pictures: str = "pictures") -> list[Finding]:
    """Columns of ATTACKS or GENERATED: whether words of neurons mislead the model more often, by pairs of
    classes; ways that there are. pictures : what they are called.
    """
    success = attacks.pivot(index=["shown_id", "target_id"], columns="way", values="success")
    found = []
    for way in ("random", "similar", "indirect"):
        if not {"neurons", way} <= set(success.columns):
            continue
        both = success[["neurons", way]].dropna()
        if both.empty:  # images were generated of other pairs
            continue
        _, low, high = interval((both["neurons"] - both[way]).to_numpy())
        numbers = (
            f"against {WAYS[way]} ({both['neurons'].mean():.0%} and {both[way].mean():.0%} of the {pictures})"
        )
        claim = "words by what neurons write mislead the model more often than other words"
        found.append(Finding(f"lens_misled:{way}", positive(low, high), claim, numbers))
    return found


def in_all(generated: pd.DataFrame) -> pd.DataFrame:
    """Of every way over all its pairs: pairs, pictures, wins, success, low, high, margin. The interval takes
    pictures for independent, whatever pair they are of.
    """
    rows = []
    for way in [way for way in WAYS if way in set(generated["way"])]:
        own = generated[generated["way"] == way]
        wins, count = int(own["wins"].sum()), int(own["pictures"].sum())
        margin = float((own["margin"] * own["pictures"]).sum() / count)
        rows.append((way, len(own), count, wins, *wilson(wins, count), margin))
    names = ["way", "pairs", "pictures", "wins", "success", "low", "high", "margin"]
    return pd.DataFrame(rows, columns=names)
