"""Fig. 3b: does the basis of an SAE name the causes of the output better than neurons or principal axes?"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reliance.base.artifacts import derived_stamp
from reliance.base.claims import Finding, positive
from reliance.base.means import interval
from reliance.faithfulness.schema import FROZEN, GLOBAL_DELETION, LOCAL_DELETION, LOCAL_INSERTION
from reliance.faithfulness.summary import by_class, curve, mean_y
from reliance.figures import style
from reliance.figures.captions import compose, spread
from reliance.figures.faithfulness.curves import Curve, Panel, Row, draw_curves
from reliance.figures.faithfulness.results import (
    LOCAL,
    SHOWN,
    TITLES,
    Result,
    Results,
    numbers_of,
    read_results,
)
from reliance.figures.sheet import Sheet, Shown

SCHEMA = 1
METHOD = "act_x_grad"  # orders the components of every basis
JUDGED = (
    "Whether the SAE's basis names the causes better (mean gain in output y over the steps, and its 95 % "
    "interval by Student's t, paired over classes):"
)
NAMES = {"neurons": "neurons", "pca": "principal axes"}
WHERE = {
    LOCAL_DELETION: "in local deletion",
    GLOBAL_DELETION: "in global deletion",
    LOCAL_INSERTION: "in local insertion",
}


def fig3b(
    *,
    faithfulness: Sequence[Path],
    summary: Sequence[Path],
    bases: Sequence[str],
    shown: Shown,
    sheet: Sheet,
) -> None:
    """Draw the deletion and insertion curves of the bases of one variant side by side.

    Parameters
    ----------
    faithfulness, summary : tables of curves and their summaries, one per basis.
    bases : of style.BASES, in the order of `faithfulness`.
    shown : the variant. sheet : where the figure goes.

    Bands and errors are standard errors over subsets of images, std(ddof=1)/sqrt(subsets).
    """
    read, ids = read_results(faithfulness, summary, bases)
    results = equally_long(read)
    heading = shown.heading
    panels = [_panel(results, protocol) for protocol in SHOWN]
    numbers = numbers_of(results, SHOWN, [FROZEN], free=False).rename(columns={"variant": "basis"})
    with style.rc():
        sheet.write(
            draw_curves([Row("", panels)], title=heading, named=True),
            numbers[numbers["method"] == METHOD],
            derived_stamp("fig3b", SCHEMA, {"heading": heading}, ids),
            _words(results, heading),
        )


def equally_long(results: Results) -> Results:
    """The curves over the steps that all bases have: local ones end with the active components."""
    frames = [r.frame for r in results.values()]
    last = pd.concat([f.groupby("protocol", sort=False)["step"].max() for f in frames], axis=1).min(axis=1)
    cut = {}
    for basis, result in results.items():
        frame = result.frame[result.frame["step"] <= result.frame["protocol"].map(last)]
        cut[basis] = Result(frame, curve(frame), mean_y(frame), result.summary)
    return cut


def findings(frames: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Whether the order of the SAE's latents is more faithful than that of each other basis.

    frames : basis -> columns of FAITHFULNESS, measured on the same images over equally many steps.
    """
    y = {basis: _by_class(frame) for basis, frame in frames.items()}
    found = []
    for protocol in SHOWN:
        sign = 1 if protocol == LOCAL_INSERTION else -1
        for basis in (b for b in y if b != "sae" and "sae" in y):
            difference = y["sae"][protocol][:, 1:] - y[basis][protocol][:, 1:]
            mean, low, high = interval(sign * np.round(difference.mean(axis=1), 12))
            reach = "one class, no interval" if np.isnan(low) else f"[{low:+.4f}, {high:+.4f}]"
            claim = f"the SAE's latents name the causes better than {NAMES.get(basis, basis)} do"
            steps = f"steps 1 to {difference.shape[1]}"
            where = f"{WHERE[protocol]} ({steps}: {mean:+.4f} {reach} of y)"
            found.append(Finding(f"sae_over_{basis}:{protocol}", positive(low, high), claim, where))
    return found


def _by_class(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Curves [c, S + 1] of the orders by METHOD, by protocol."""
    rows = by_class(_ordered(frame))
    return {
        str(protocol): part.pivot(index="class_id", columns="step", values="y").to_numpy()
        for protocol, part in rows.groupby("protocol")
    }


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the orders by METHOD, error term kept; local ones over active components."""
    local = table["protocol"].isin(LOCAL)
    kept = (table["method"] == METHOD) & (table["error_term"] == FROZEN)
    return table[kept & (table["restrict_to_active"] == local)]


def _panel(results: Results, protocol: str) -> Panel:
    better = "higher" if protocol == LOCAL_INSERTION else "lower"
    curves = [_curve(basis, result, protocol) for basis, result in results.items()]
    return Panel(TITLES[protocol], f"{better} is more faithful", curves)


def _curve(basis: str, result: Result, protocol: str) -> Curve:
    steps, mean = (_ordered(t[t["protocol"] == protocol]) for t in (result.curves, result.means))
    value = f"{100 * mean['mean_y'].iloc[0]:.2f}"
    if not np.isnan(mean["sem"].iloc[0]):
        value += f" ± {100 * mean['sem'].iloc[0]:.2f}"
    y, width = (100 * steps.sort_values("step")[name].to_numpy() for name in ("y", "sem_subsets"))
    return Curve(style.BASES[basis], y, width, value.replace("-", "−"))


def _words(results: Results, heading: str) -> str:
    said = {name: [r.summary[name] for r in results.values()] for name in ("images", "classes", "subsets")}
    active = ", ".join(
        f"{style.BASES[basis].label} {r.summary['mean_active']:,.1f}" for basis, r in results.items()
    )
    content = [
        "Output y (cosine of image and class name, in percent) after setting the activations of the most "
        "relevant components (by Act × Grad) to zero, one more at a time, in the order of each image (local) "
        "or of the mean over the images of its class (global), and after inserting them one by one. What a "
        "basis does not reconstruct is kept. Neurons and principal axes are coordinates of x minus its mean, "
        "and each end of an axis is a component of its own: at zero, a coordinate has its mean.",
        f"{spread(said['images'], ',')} test images of {spread(said['classes'], ',')} classes, the same for "
        f"all bases; active components per image: {active}. Local curves of all bases end with the active "
        "components of the one that has fewest. Insertion starts where the basis has no active component, "
        "which is not the same place for all.",
        f"Bands and mean y ± SEM: standard error of the mean over {spread(said['subsets'], 'd')} disjoint "
        "subsets of the images, std(ddof=1)/sqrt(subsets); mean y is the mean over all steps.",
    ]
    found = findings({basis: r.frame for basis, r in results.items()})
    return compose("Figure 3b", "Faithfulness of bases", heading, content, JUDGED, found)
