"""Accuracy by block: what is lost without a block's effects, and what one direction per neuron keeps."""

from collections.abc import Sequence
from pathlib import Path

from reliance.figures import style
from reliance.figures.captions import compose
from reliance.figures.lens.results import JUDGED, draw, label, one_scale, panels, read_results
from reliance.figures.sheet import Sheet, Shown
from reliance.lens.findings import at, findings

DRAWN = ("baseline", "direction", "second_order", "first_order", "indirect")


def lens_layers(*, accuracies: Sequence[Path], blocks: Sequence[int], shown: Shown, sheet: Sheet) -> None:
    """Draw accuracy over blocks for each replacement; arguments as in `lens_selectivity`."""
    results, heading = read_results(accuracies, blocks), shown.heading
    with style.rc():
        canvas, axes = panels(heading, DRAWN, [""])
        own = axes[""]
        places = list(range(len(blocks)))
        for method in DRAWN:
            draw(own, method, places, [at(frame, method) for frame in results.frames.values()])
        own.set_xticks(places, [str(block) for block in blocks])
        label(own, "block", True)
        one_scale(axes.values())
        content = [
            f"Zero-shot accuracy on {results.images:,} test images by block. Effects are set to their "
            "mean over "
            "the training images: those through later attention (second order), those on the class token "
            "itself "
            "(direct), or the neurons themselves in a forward pass.",
        ]
        said = [f for f in findings(results.frames, {}) if f.name.startswith("lens_matters")]
        words = compose("Layers", "Which block's neurons matter", heading, content, JUDGED, said)
        numbers = results.numbers[results.numbers["method"].isin(DRAWN)]
        sheet.write(canvas.figure, numbers, results.stamp("lens_layers", heading), words)
