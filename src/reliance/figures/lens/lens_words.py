"""Accuracy when each neuron writes along its direction as m words give it (V2)."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reliance.figures import style
from reliance.figures.captions import compose
from reliance.figures.lens.results import JUDGED, curve, label, level, one_scale, panels, read_results
from reliance.figures.sheet import Sheet, Shown
from reliance.lens.findings import findings

DRAWN = ("baseline", "direction", "words", "second_order")


def lens_words(*, accuracies: Sequence[Path], blocks: Sequence[int], shown: Shown, sheet: Sheet) -> None:
    """Draw accuracy over the number of words, a panel per block; arguments as in `lens_selectivity`."""
    results, heading = read_results(accuracies, blocks), shown.heading
    with style.rc():
        canvas, axes = panels(heading, DRAWN, list(results.frames))
        for i, (name, frame) in enumerate(results.frames.items()):
            own = axes[name]
            for method in ("baseline", "direction", "second_order"):
                level(own, frame, method)
            curve(own, frame, "words")
            own.set_xscale("log", base=2)
            values = sorted(set(frame.loc[frame["method"] == "words", "value"]))
            own.xaxis.set_major_locator(FixedLocator(values))
            own.xaxis.set_minor_locator(NullLocator())
            own.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            label(own, "words m", i == 0)
        one_scale(axes.values())
        content = [
            f"Zero-shot accuracy on {results.images:,} test images when second-order effects of a block's "
            "neurons "
            "run along their directions alone, and along the sparse sum of m words (orthogonal matching "
            "pursuit) "
            "that stands for each.",
        ]
        said = [f for f in findings(results.frames, {}) if f.name.startswith("lens_direction")]
        words = compose("Words", "Directions as words", heading, content, JUDGED, said)
        numbers = results.numbers[results.numbers["method"].isin(DRAWN)]
        sheet.write(canvas.figure, numbers, results.stamp("lens_words", heading), words)
