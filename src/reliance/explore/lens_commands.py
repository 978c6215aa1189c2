"""What can be asked on the command line of the inside of an encoder: neurons, and images in their words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reliance.base.errors import RESULTS, RelianceError
from reliance.explore.commands import AsJson, Html, Png, Results, Variant, answer

if TYPE_CHECKING:
    from reliance.explore.answers import Answer
    from reliance.explore.study import Study


def register(app: typer.Typer) -> None:
    """Add the commands."""
    # so that -2:17, a block from the end, is no option
    app.command("neuron", context_settings={"ignore_unknown_options": True})(neuron)
    app.command("attributes")(attributes)


def neuron(
    variant: Variant,
    which: Annotated[
        str, typer.Argument(metavar="BLOCK:NEURON[,...]", help="for example 9:123; blocks count from 0")
    ],
    images: Annotated[int, typer.Option(min=0, max=100, help="examples of each")] = 20,
    png: Png = None,
    html: Html = None,
    results: Results = Path(RESULTS),
    as_json: AsJson = False,
) -> None:
    """Show neurons of an encoder's MLPs: words, examples, classes, heads and latents (section lens)."""

    def answers(study: Study) -> list[Answer]:
        return [study.neuron(*pair, images) for pair in _pairs(which)]

    answer(results, variant, answers, ("neurons", as_json, png, html))


def attributes(
    variant: Variant,
    image: Annotated[list[str], typer.Argument(help="files, or images of the data set as test:12")],
    png: Png = None,
    html: Html = None,
    results: Results = Path(RESULTS),
    as_json: AsJson = False,
) -> None:
    """Describe images by the words of the neurons that are significant on them (section lens)."""

    def answers(study: Study) -> list[Answer]:
        return [study.attributes(one) for one in image]

    answer(results, variant, answers, ("images", as_json, png, html))


def _pairs(text: str) -> list[tuple[int, int]]:
    """(block, neuron) of each."""
    parts = [part.strip().partition(":")[::2] for part in text.split(",") if part.strip()]
    good = [re.fullmatch(r"-?[0-9]{1,4}", b) and re.fullmatch(r"[0-9]{1,9}", n) for b, n in parts]
    if not parts or not all(good):
        raise RelianceError(
            "BLOCK:NEURON",
            "neurons are asked for by their block and their number in it",
            found=text,
            allowed="for example 9:123 or 9:123,10:7",
            next_step="look for neurons on the variant's page lens/report.html",
        )
    return [(int(block), int(number)) for block, number in parts]
