"""Accuracy without the effects of neurons on images where they are, or are not, significant (V1, B1.6)."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reliance.figures import style
from reliance.figures.captions import compose
from reliance.figures.lens.results import JUDGED, curve, label, level, one_scale, panels, read_results
from reliance.figures.sheet import Sheet, Shown
from reliance.lens.findings import findings

DRAWN = ("baseline", "insignificant", "random", "significant", "second_order")


def lens_selectivity(
    *, accuracies: Sequence[Path], blocks: Sequence[int], shown: Shown, sheet: Sheet
) -> None:
    """Draw accuracy over the share of images on which a neuron counts as significant, a panel per block.

    accuracies : tables of ACCURACY, one per block. shown : the one variant.
    """
    results, heading = read_results(accuracies, blocks), shown.heading
    with style.rc():
        canvas, axes = panels(heading, DRAWN, list(results.frames))
        for i, (name, frame) in enumerate(results.frames.items()):
            own = axes[name]
            for method in ("baseline", "second_order"):
                level(own, frame, method)
            for method in ("random", "significant", "insignificant"):
                curve(own, frame, method, 100)
            own.set_xscale("log")
            values = sorted(set(100 * frame.loc[frame["method"] == "significant", "value"]))
            own.xaxis.set_major_locator(FixedLocator(values))
            own.xaxis.set_minor_locator(NullLocator())
            own.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
            label(own, "significant on, % of images", i == 0)
        one_scale(axes.values())
        content = [
            "Zero-shot accuracy on "
            f"{results.images:,} test images when second-order effects of a block's neurons are at their "
            "mean: on "
            "the images where the effect is larger than on all but a share of the training images "
            "(significant), "
            "on all others, or on as many at random.",
        ]
        said = [f for f in findings(results.frames, {}) if not f.name.startswith("lens_direction")]
        words = compose("Selectivity", "Neurons matter on few images", heading, content, JUDGED, said)
        numbers = results.numbers[results.numbers["method"].isin(DRAWN)]
        sheet.write(canvas.figure, numbers, results.stamp("lens_selectivity", heading), words)
