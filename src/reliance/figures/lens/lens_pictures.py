"""Some pictures with their masks and the heat of every method (V4)."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from PIL import Image

from reliance.base.artifacts import check_same, derived_stamp, read_table
from reliance.figures import style
from reliance.figures.canvas import EDGE, RIGHT, Canvas
from reliance.figures.captions import written
from reliance.figures.gallery import cut, look
from reliance.figures.lens.lens_segmentation import LOOKS
from reliance.figures.sheet import Sheet, Shown
from reliance.figures.thumbnails import few_colors
from reliance.images.tables import CLASSES
from reliance.lens.examples import Examples, read_examples
from reliance.lens.schema import SEGMENTS

SCHEMA = 1
GAP, LINE, TOP = 0.04, 0.13, 0.2  # inches
SIZE = 5.8  # points
SIDE = 160  # pixels of a tile at most
COLUMNS = {  # in two lines
    "signed neurons": ("neurons,", "signed"),
    "published rule": ("neurons,", "unsigned"),
    "random neurons": ("neurons", "at random"),
    "exact sum": ("exact sum", "of y"),
    "raw attention": ("raw", "attention"),
    "rollout": ("attention", "rolled out"),
}
SUBJECT = (
    "Evenly spaced test pictures as the encoder sees them, with the class that it takes them for; their "
    "masks; and the heat of each method for that class, scaled on each picture from its least (dark) to its "
    "most (light), with the outline of one half, where it is cut, and the IoU (mean of inside and outside) "
    "below."
)


def lens_pictures(*, scored: Path, examples: Path, classes: Path, shown: Shown, sheet: Sheet) -> None:
    """Draw a row per picture. scored : SEGMENTS. examples : of the same segmentation. classes : CLASSES."""
    table, (found, stamp) = read_table(scored, SEGMENTS), read_examples(examples)
    known = read_table(classes, CLASSES)
    for name, own in table.stamp.inputs.items():
        check_same(name, (examples, stamp.inputs[name]), (scored, own))
    methods = [str(method) for method in stamp.params["methods"]]
    iou = table.frame.pivot(index="image_id", columns="method", values="iou")
    names = known.frame.set_index("class_id")["short_name"]
    called = [str(name) for name in names.loc[found.class_id]]
    numbers = pd.DataFrame({"image_id": found.image_id, "class_id": found.class_id, "taken_for": called})
    numbers["mask_share"] = found.mask.mean((1, 2))
    for method in LOOKS:
        numbers[method] = iou.loc[found.image_id, method].to_numpy()
    means = "; ".join(f"{LOOKS[method].label}: {numbers[method].mean():.3f}" for method in LOOKS)
    title = "Segmentation of the class that wins"
    words = written("Pictures", title, shown.heading, [SUBJECT], "IoU over these pictures:", f"- {means}")
    ids = {"scored": table.stamp.id, "examples": stamp.id, "classes": known.stamp.id}
    with look():
        figure = draw(found, methods, numbers, shown.heading)
        made = derived_stamp("lens_pictures", SCHEMA, {"heading": shown.heading}, ids)
        sheet.write(figure, numbers, made, words)


def draw(found: Examples, methods: list[str], numbers: pd.DataFrame, heading: str) -> Any:
    """Picture, mask and the methods beside each other."""
    columns = [("", "picture"), ("", "mask"), *(COLUMNS[method] for method in LOOKS)]
    tile = (style.PAGE - EDGE - RIGHT - (len(columns) - 1) * GAP) / len(columns)
    high = tile * found.pixels.shape[1] / found.pixels.shape[2]
    top = TOP if heading else 0.0
    below = top + 2 * LINE + 0.04
    canvas = Canvas(style.PAGE, below + len(numbers) * (high + LINE + 0.03) + 0.03)
    canvas.figure.suppressComposite = True  # each tile keeps a palette of its own
    canvas.text(EDGE, 0.06, heading, 8)
    for j, lines in enumerate(columns):
        for place, name in enumerate(lines):
            _said(canvas, EDGE + j * (tile + GAP), top + 0.03 + 0.11 * place, name, tile, bold=True)
    for i, row in enumerate(numbers.to_dict("records")):
        y = below + i * (high + LINE + 0.03)
        mask = np.repeat(255 * found.mask[i][..., None], 3, 2)
        heats = [found.heat[i, methods.index(method)] for method in LOOKS]
        tiles = [few_colors(_small(found.pixels[i])), np.asarray(_small(mask, sharp=True))]
        tiles += [_heated(heat) for heat in heats]
        said = [row["taken_for"], f"{row['mask_share']:.0%}", *(f"{row[method]:.2f}" for method in LOOKS)]
        for j, (pixels, text) in enumerate(zip(tiles, said, strict=True)):
            x = EDGE + j * (tile + GAP)
            axes = canvas.axes(x, y, tile, high)
            axes.imshow(pixels, interpolation="none", aspect="auto")
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
            if j > 1 and np.ptp(heats[j - 2]):
                outline = np.asarray(_small(heats[j - 2]), np.float64)
                axes.contour(outline, [127.5], colors=["white"], linewidths=0.6)
            _said(canvas, x, y + high + 0.02, text, tile)
    return canvas.figure


def _said(canvas: Canvas, x: float, y: float, text: str, room: float, *, bold: bool = False) -> None:
    """A text below or above a tile, in its middle, cut to its width."""
    short = cut(text, room * 220, SIZE, bold)
    place = canvas.at(x + room / 2, y)
    canvas.figure.text(
        *place, short, va="top", ha="center", fontsize=SIZE, fontweight="bold" if bold else "normal"
    )


def _small(pixels: np.ndarray, *, sharp: bool = False) -> Image.Image:
    """A picture of at most SIDE pixels; small ones stay as they are."""
    image = Image.fromarray(pixels)
    if max(image.size) <= SIDE:
        return image
    share = SIDE / max(image.size)
    width, height = (max(1, round(side * share)) for side in image.size)
    return image.resize((width, height), Image.Resampling.NEAREST if sharp else Image.Resampling.LANCZOS)


def _heated(heat: np.ndarray) -> np.ndarray:
    """Heat uint8 [h, w] in colours from dark to light, uint8 [h, w, 3]."""
    levels = np.asarray(_small(heat)) // 8 * 8 + 4  # few colours, so that the file stays small
    found: np.ndarray = (255 * mpl.colormaps["cividis"](levels)[..., :3]).astype(np.uint8)
    return found
