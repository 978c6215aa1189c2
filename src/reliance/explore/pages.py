"""An answer as HTML: a part for notebooks, or a page of its own that loads nothing and runs nothing."""

import base64
import io
from functools import cache
from pathlib import Path

import jinja2
from PIL import Image

from reliance.explore.picture import Picture
from reliance.explore.sheets import Sheet, Shown
from reliance.explore.shelf import Shelf
from reliance.explore.thumbs import thumbnails

TEMPLATE = Path(__file__).with_name("answer.html.j2")
SIDE = 96  # of a thumbnail, pixels


def html(shelf: Shelf, sheet: Sheet, own: Picture | None = None, whole: bool = True) -> str:
    """An answer as a page, or as a part of one. Names, labels and paths are escaped; images are inside."""
    shown = [picture for block in sheet.blocks for row in block.rows for picture in row.pictures]
    shown += [picture for block in sheet.blocks for picture, _ in block.pictures]
    pictures = thumbnails(shelf, [*shown, *([("", -1)] if own else [])], SIDE, own, sheet.places)
    uris: dict[Shown, str] = {key: _uri(image) for key, image in pictures.items() if image}
    return _template().render(sheet=sheet, uris=uris, own=own is not None, whole=whole, side=SIDE)


def _uri(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=85, method=2)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
