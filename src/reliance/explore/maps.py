"""How strongly a unit fires on every patch of an image, at a site with many tokens per image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.explore.briefs import Brief, briefs
from reliance.explore.cells import number
from reliance.explore.model import Models
from reliance.explore.picture import ImageLike, Picture, see
from reliance.explore.sheets import Block, Row, Sheet
from reliance.explore.shelf import Shelf
from reliance.figures.thumbnails import square

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 384  # pixels of the image below a map
SHADE = (230, 60, 20)  # of the strongest patch


class Map(NamedTuple):
    """A unit over an image."""

    variant: str
    about: Brief
    picture: Picture
    activations: np.ndarray  # float32 [rows, columns], from the top left patch on


def unit_map(shelf: Shelf, models: Models, component: int, image: ImageLike) -> Map:
    """The activations of a unit on the patches of an image, by running the first blocks again.

    Raises RelianceError at a site without patches, for a number that is no component's, or an image that
    cannot be read.
    """
    if not shelf.patches:
        raise RelianceError(
            shelf.variant,
            "a unit is mapped over an image where every image has many tokens",
            found="a site with one vector per image",
            allowed="a variant with site: {block: l, token: patches}",
            next_step="see what the unit adds with `reliance explain`, or read the model at its patches",
        )
    about = briefs(shelf, [component], 0)[component]
    picture = see(shelf, models, image)
    return Map(shelf.variant, about, picture, models.on_patches(picture.seen, component))


def overlaid(found: Map) -> Image.Image:
    """The image, grey, with its patches coloured by how strongly the unit fires on them."""
    image = found.picture.image() or Image.new("RGB", (SIDE, SIDE), "white")
    grey = np.asarray(square(image, SIDE).convert("L").convert("RGB"), np.float32)
    share = found.activations / max(float(found.activations.max()), 1e-12)
    rows, columns = (np.arange(SIDE) * length // SIDE for length in share.shape)
    weight = 0.75 * share[rows][:, columns, None]
    mixed = grey * (1 - weight) + np.asarray(SHADE, np.float32) * weight
    return Image.fromarray(mixed.round().astype(np.uint8))


def sheet_of(found: Map, most: int = 8) -> Sheet:
    """The map in words: its strongest patches."""
    flat = found.activations.ravel()
    order = [i for i in np.argsort(-flat, kind="stable")[:most].tolist() if flat[i] > 0]
    columns = found.activations.shape[1]
    rows = [
        Row([str(i // columns), str(i % columns), number(float(flat[i]), 3)], float(flat[i] / flat.max()))
        for i in order
    ]
    fires = f"fires on {int((flat > 0).sum())} of {flat.size} patches"
    block = Block("Strongest patches", [fires], ["row", "column", "activation"], rows)
    named = f"#{found.about.component} {found.about.name}".strip()
    return Sheet(f"{found.variant}: {named} over {found.picture.title}", [], [block], [])


def figure_of(found: Map, title: str) -> Figure:
    """The image beside the map."""
    from matplotlib.figure import Figure

    from reliance.figures import style

    plain = found.picture.image()
    with style.rc():
        drawn = Figure(figsize=(6.4, 3.5))
        for place, image in enumerate((square(plain, SIDE) if plain else None, overlaid(found))):
            axes = drawn.add_axes((0.02 + 0.49 * place, 0.02, 0.47, 0.86))
            axes.axis("off")
            if image:
                axes.imshow(np.asarray(image), interpolation="none")
        drawn.text(0.02, 0.93, title.replace("$", r"\$"), size=8, weight="bold")
    return drawn
