"""Shapes that fonts lack, drawn from a few primitives, and the glyphs of the DejaVu fonts.

A drawing lives on a 100 x 100 sheet, y down. `mask` turns a name or a code point into a
grey image [256, 256] uint8: 255 where the shape is.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SHEET = 256
SCALE = SHEET / 100
Stroke = Callable[[ImageDraw.ImageDraw], None]


def mask(drawing: str | int) -> np.ndarray:
    """The shape of a drawing (name of an icon, or code point of a glyph), uint8 [256, 256]."""
    if isinstance(drawing, int):
        return glyph(chr(drawing))
    image = Image.new("L", (SHEET, SHEET))
    draw = ImageDraw.Draw(image)
    for stroke in ICONS[drawing]:
        stroke(draw)
    return np.asarray(image)


def glyph(character: str) -> np.ndarray:
    """A character of DejaVu Sans, uint8 [256, 256], not centred."""
    image = Image.new("L", (SHEET, SHEET))
    ImageDraw.Draw(image).text((20, 0), character, font=font("DejaVuSans.ttf", 190), fill=255)
    return np.asarray(image)


def font(name: str, pixels: int) -> ImageFont.FreeTypeFont:
    """A font that ships with matplotlib, so that pictures are the same on every machine."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), pixels, layout_engine=ImageFont.Layout.BASIC)


def _points(flat: tuple[float, ...]) -> list[tuple[float, float]]:
    return [(x * SCALE, y * SCALE) for x, y in zip(flat[::2], flat[1::2], strict=True)]


def _draw_polygon(flat: tuple[float, ...], ink: int, draw: ImageDraw.ImageDraw) -> None:
    draw.polygon(_points(flat), fill=ink)


def _draw_oval(box: tuple[float, ...], ink: int, draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse(_points(box), fill=ink)


def _draw_line(width: float, flat: tuple[float, ...], ink: int, draw: ImageDraw.ImageDraw) -> None:
    draw.line(_points(flat), fill=ink, width=int(width * SCALE), joint="curve")


def _draw_bar(radius: float, box: tuple[float, ...], ink: int, draw: ImageDraw.ImageDraw) -> None:
    draw.rounded_rectangle(_points(box), radius=int(radius * SCALE), fill=ink)


def _draw_arc(
    width: float, box: tuple[float, ...], angles: tuple[float, float], ink: int, draw: ImageDraw.ImageDraw
) -> None:
    draw.arc(_points(box), *angles, fill=ink, width=int(width * SCALE))


def polygon(*flat: float) -> Stroke:
    """A filled polygon through x, y, x, y, ..."""
    return partial(_draw_polygon, flat, 255)


def oval(*box: float, ink: int = 255) -> Stroke:
    """A filled ellipse in the box left, top, right, bottom; ink 0 cuts it out."""
    return partial(_draw_oval, box, ink)


def line(width: float, *flat: float, ink: int = 255) -> Stroke:
    """A line through x, y, x, y, ...; ink 0 cuts it out."""
    return partial(_draw_line, width, flat, ink)


def bar(radius: float, *box: float, ink: int = 255) -> Stroke:
    """A rectangle with round corners; ink 0 cuts it out."""
    return partial(_draw_bar, radius, box, ink)


def arc(width: float, angles: tuple[float, float], *box: float, ink: int = 255) -> Stroke:
    """A part of an ellipse's outline, from angle to angle in degrees, clockwise from the right."""
    return partial(_draw_arc, width, box, angles, ink)


ICONS: dict[str, tuple[Stroke, ...]] = {
    "shovel": (
        line(8, 50, 10, 50, 60),
        line(9, 33, 9, 67, 9),
        polygon(29, 52, 71, 52, 71, 76, 50, 99, 29, 76),
    ),
    "putter": (
        line(6, 72, 3, 44, 85),
        line(10, 72, 3, 65, 24),
        polygon(48, 80, 41, 99, 10, 99, 7, 88, 20, 81),
    ),
    "crow": (
        oval(21, 38, 78, 78),
        oval(61, 17, 92, 48),
        polygon(88, 27, 100, 36, 86, 41),
        polygon(31, 54, 1, 84, 14, 89, 41, 72),
        line(4, 47, 74, 43, 99),
        line(4, 58, 74, 58, 99),
        oval(76, 27, 82, 33, ink=0),
    ),
    "mouse": (
        bar(24, 25, 30, 75, 99),
        line(3, 50, 30, 50, 62, ink=0),
        line(3, 25, 62, 75, 62, ink=0),
        arc(5, (180, 300), 50, 2, 90, 56),
    ),
    "crane": (
        oval(25, 40, 72, 66),
        line(6, 67, 51, 74, 26, 66, 11),
        oval(56, 3, 73, 18),
        polygon(58, 7, 33, 14, 58, 16),
        polygon(31, 46, 3, 62, 36, 63),
        line(3, 46, 64, 44, 99),
        line(3, 54, 64, 58, 99),
    ),
    "derrick": (
        line(8, 30, 7, 30, 99),
        line(7, 8, 22, 97, 22),
        line(3, 30, 6, 94, 22),
        line(3, 30, 6, 10, 22),
        line(3, 82, 22, 82, 60),
        bar(2, 72, 57, 93, 76),
        bar(1, 13, 90, 47, 99),
        bar(1, 5, 20, 18, 36),
    ),
    "bow": (
        arc(7, (-80, 80), 10, 4, 80, 96),
        line(3, 54, 6, 54, 94),
        line(4, 6, 50, 94, 50),
        polygon(100, 50, 85, 40, 85, 60),
        polygon(3, 41, 16, 50, 3, 59),
    ),
    "ribbon": (
        polygon(50, 42, 5, 14, 5, 70),
        polygon(50, 42, 95, 14, 95, 70),
        bar(6, 40, 30, 60, 54, ink=0),
        bar(6, 43, 33, 57, 51),
        polygon(44, 54, 23, 98, 38, 95),
        polygon(56, 54, 77, 98, 62, 95),
    ),
    "jewel": (
        polygon(24, 17, 76, 17, 99, 42, 50, 95, 1, 42),
        line(4, 1, 42, 99, 42, ink=0),
        line(4, 24, 17, 36, 42, 50, 95, ink=0),
        line(4, 76, 17, 64, 42, 50, 95, ink=0),
        line(4, 36, 42, 50, 17, 64, 42, ink=0),
    ),
    "pyramid": (
        polygon(50, 9, 99, 89, 1, 89),
        *(line(3, 0, y, 100, y, ink=0) for y in (36, 54, 72)),
        line(3, 50, 36, 50, 54, ink=0),
        *(line(3, x, 54, x, 72, ink=0) for x in (36, 64)),
        *(line(3, x, 72, x, 90, ink=0) for x in (24, 50, 76)),
    ),
    "table": (
        polygon(16, 33, 84, 33, 99, 52, 1, 52),
        *(line(7, x, 50, x, 91) for x in (12, 88)),
        *(line(5, x, 50, x, 76) for x in (28, 72)),
    ),
    "boot": (
        polygon(24, 5, 62, 5, 62, 52, 92, 64, 99, 82, 24, 82),
        bar(4, 20, 84, 100, 97),
        *(line(3, 42, y, 64, y, ink=0) for y in (22, 34, 46)),
    ),
    "snowman": (
        oval(20, 50, 80, 99),
        oval(31, 20, 69, 58),
        bar(1, 36, 2, 64, 20),
        line(5, 26, 22, 74, 22),
        line(4, 24, 66, 2, 48),
        line(4, 76, 66, 98, 48),
        *(oval(47, y, 54, y + 7, ink=0) for y in (62, 74, 86)),
        *(oval(x, 32, x + 6, 38, ink=0) for x in (40, 55)),
    ),
    "hat": (
        oval(0, 58, 100, 87),
        polygon(26, 70, 32, 25, 50, 17, 68, 25, 74, 70),
        oval(32, 15, 68, 36),
        line(5, 27, 60, 73, 60, ink=0),
    ),
    "fish": (
        oval(13, 30, 72, 73),
        polygon(64, 51, 97, 25, 90, 51, 97, 77),
        polygon(36, 34, 54, 13, 58, 36),
        oval(24, 42, 32, 50, ink=0),
        arc(3, (-60, 60), 26, 30, 56, 72, ink=0),
        line(3, 0, 52, 20, 51),
    ),
    "booth": (
        bar(4, 24, 3, 76, 99),
        bar(1, 32, 10, 68, 16, ink=0),
        *(bar(1, left, top, left + 16, top + 21, ink=0) for top in (22, 47, 72) for left in (32, 52)),
    ),
    "palm": (
        line(8, 46, 99, 50, 40),
        arc(8, (180, 300), 10, 26, 52, 84),
        arc(8, (240, 360), 48, 26, 92, 84),
        arc(8, (200, 350), 2, 12, 54, 62),
        arc(8, (190, 340), 46, 12, 98, 62),
        line(6, 50, 40, 50, 7),
    ),
    "sailboat": (
        polygon(3, 72, 97, 72, 81, 95, 19, 95),
        line(4, 48, 5, 48, 72),
        polygon(53, 7, 93, 64, 53, 64),
        polygon(43, 17, 43, 64, 11, 64),
    ),
    "cactus": (
        bar(10, 40, 7, 60, 97),
        bar(7, 12, 33, 26, 65),
        bar(6, 13, 52, 48, 66),
        bar(7, 74, 23, 88, 54),
        bar(6, 54, 42, 87, 56),
    ),
    "house": (
        polygon(50, 5, 99, 48, 1, 48),
        bar(1, 14, 46, 86, 97),
        bar(1, 42, 64, 60, 97, ink=0),
        bar(1, 22, 58, 36, 72, ink=0),
    ),
    "key": (
        oval(3, 30, 44, 71),
        oval(16, 42, 32, 58, ink=0),
        line(8, 42, 50, 97, 50),
        line(7, 78, 50, 78, 70),
        line(7, 92, 50, 92, 68),
    ),
}
