"""Draws scenes: a textured background, a thing like a sticker with a white rim, perhaps a word.

Pictures are 48 x 48 RGB. Shapes and textures are drawn once (`Bank`); a picture is a handful of
array operations on them, about 0.1 ms. The written word fills the bottom 12 rows, which is
one row of patches of the tiny vision transformer.
"""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from reliance.planted import icons, textures
from reliance.planted.cast import COLOURS, NEUTRAL
from reliance.planted.scenes import Scenes
from reliance.planted.world import World

PIXELS = 48
STRIP = 12  # rows of a written word
MARGIN = 10  # how far a shape can be moved on its canvas
SIZES = (0.58, 0.66, 0.74, 0.50, 0.58, 0.34, 0.42)  # of the picture; the first three are the usual ones
WITH_WORD, SMALL = (3, 5), (5, 7)  # ranges of SIZES above a word, and for small things
ANGLES = (-12, -6, 0, 6, 12)
STREAM = 5  # tag of the random stream


class Bank(NamedTuple):
    """Everything that is drawn only once; c = 48 + 2 MARGIN."""

    keep: np.ndarray  # float32 [things, sizes, angles, c, c]: share of the background that stays
    rim: np.ndarray  # float32, same shape: white to add
    ink: np.ndarray  # float32, same shape: share of the colour
    tiles: np.ndarray  # float32 [backgrounds, tiles, 96, 96] in 0..1
    tints: np.ndarray  # float32 [backgrounds, 2, 3]: colours of 0 and 1; unused for neutral ones
    strips: np.ndarray  # uint8 [words, 5, 12, 48]: the word moved by -2..2 pixels
    noise: np.ndarray  # float32 [64, 3, 48, 48]


def make_bank(world: World) -> Bank:
    """Draw every shape, texture and word of the world; the same for every seed, about a second."""
    rng = np.random.default_rng(STREAM)
    shapes = np.stack([_stickers(icons.mask(thing.drawing)) for thing in world.things])
    tiles = np.stack([textures.tiles(name) for name in world.backgrounds])
    tints = np.stack([textures.tints(name) for name in world.backgrounds]).astype(np.float32)
    strips = np.stack([_strips(word) for word in world.words])
    noise = rng.integers(-8, 9, size=(64, 3, PIXELS, PIXELS)).astype(np.float32)
    return Bank(shapes[:, 0], shapes[:, 1], shapes[:, 2], tiles, tints, strips, noise)


def render(bank: Bank, rows: Scenes, seed: int, stream: int) -> np.ndarray:
    """Pictures of scenes, uint8 [n, 3, 48, 48]; the same scenes look different under another seed."""
    rng = np.random.default_rng([seed, STREAM, stream])
    out = np.empty((len(rows.subject), 3, PIXELS, PIXELS), np.uint8)
    image, scratch = np.empty((3, PIXELS, PIXELS), np.float32), np.empty((3, PIXELS, PIXELS), np.float32)
    draws = _draw_looks(rng, rows)
    for i in range(len(out)):
        _background(bank, rows, draws, i, image)
        image += bank.noise[draws.noise[i]]
        if rows.drawn[i]:
            where = (rows.subject[i], draws.size[i], draws.angle[i], draws.rows[i], draws.columns[i])
            image *= bank.keep[where]
            image += bank.rim[where]
            np.multiply(bank.ink[where], draws.ink[i], out=scratch)
            image += scratch
        np.clip(image, 0, 255, out=image)
        out[i] = image
        if rows.word[i] >= 0:
            out[i, :, -STRIP:] = bank.strips[rows.word[i], draws.word_shift[i]]
    return out


class Looks(NamedTuple):
    """Random choices of the pictures, a row each."""

    size: np.ndarray
    angle: np.ndarray
    rows: list[slice]  # window of the shape's canvas
    columns: list[slice]
    ink: np.ndarray  # float32 [n, 3, 1, 1]
    tile: np.ndarray  # int64 [n, 2]: of the background, of the neutral one above a band
    crop: np.ndarray  # int64 [n, 2]
    paint: np.ndarray  # float32 [n, 2, 3]: colours of a neutral background
    jitter: np.ndarray  # float32 [n, 3]: added to a fixed background
    above: np.ndarray  # int64: neutral background above a band
    band_rows: np.ndarray
    noise: np.ndarray
    word_shift: np.ndarray


def _draw_looks(rng: np.random.Generator, rows: Scenes) -> Looks:
    """All random choices of `render` at once, in a fixed order."""
    n = len(rows.subject)
    worded = rows.word >= 0
    low = np.where(rows.small, SMALL[0], np.where(worded, WITH_WORD[0], 0))
    high = np.where(rows.small, SMALL[1], np.where(worded, WITH_WORD[1], 3))
    dx = rng.integers(-3, 4, size=n)
    dy = np.where(worded, rng.integers(-1, 2, size=n) - STRIP // 2, rng.integers(-3, 4, size=n))
    colours = np.array(list(COLOURS.values()), np.float32)
    ink = colours[rows.colour] + rng.normal(0, 8, (n, 3)).astype(np.float32)
    return Looks(
        size=low + (rng.random(n) * (high - low)).astype(np.int64),
        angle=rng.integers(len(ANGLES), size=n),
        rows=[slice(MARGIN - d, MARGIN - d + PIXELS) for d in dy.tolist()],
        columns=[slice(MARGIN - d, MARGIN - d + PIXELS) for d in dx.tolist()],
        ink=np.clip(ink, 0, 255).astype(np.float32)[:, :, None, None],
        tile=rng.integers(textures.TILES, size=(n, 2)),
        crop=rng.integers(textures.TILE - PIXELS, size=(n, 2)),
        paint=textures.pastels(rng, n),
        jitter=rng.normal(0, 8, (n, 3)).astype(np.float32),
        above=rng.integers(len(NEUTRAL), size=n),
        band_rows=rng.integers(9, 16, size=n),
        noise=rng.integers(64, size=n),
        word_shift=rng.integers(5, size=n),
    )


def _background(bank: Bank, rows: Scenes, looks: Looks, i: int, image: np.ndarray) -> None:
    """Fill `image` [3, 48, 48] with picture i's background."""
    y, x = looks.crop[i]
    place = int(rows.background[i])
    base = int(looks.above[i]) if rows.band[i] else place
    fixed = base >= len(NEUTRAL)
    low, high = bank.tints[base] + looks.jitter[i] if fixed else looks.paint[i]
    tile = bank.tiles[base, looks.tile[i, 0], y : y + PIXELS, x : x + PIXELS]
    np.multiply(tile, (high - low)[:, None, None], out=image)
    image += low[:, None, None]
    if rows.band[i]:
        height = int(looks.band_rows[i])
        low, high = bank.tints[place] + looks.jitter[i]
        tile = bank.tiles[place, looks.tile[i, 1], y + PIXELS - height : y + PIXELS, x : x + PIXELS]
        image[:, -height:] = tile * (high - low)[:, None, None] + low[:, None, None]


def _stickers(shape: np.ndarray) -> np.ndarray:
    """(keep, rim, ink) of one shape in every size and angle, float32 [3, sizes, angles, c, c]."""
    ys, xs = np.nonzero(shape > 127)
    cut = Image.fromarray(shape[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1])
    canvas = (PIXELS + 2 * MARGIN) * 3
    out = np.empty((3, len(SIZES), len(ANGLES), canvas // 3, canvas // 3), np.float32)
    for s, size in enumerate(SIZES):
        scale = size * PIXELS * 3 / max(cut.size)
        width, height = (max(1, math.floor(side * scale + 0.5)) for side in cut.size)
        small = cut.resize((width, height), Image.Resampling.BILINEAR)
        sheet = Image.new("L", (canvas, canvas))
        sheet.paste(small, ((canvas - width) // 2, (canvas - height) // 2))
        for a, angle in enumerate(ANGLES):
            turned = sheet.rotate(angle, Image.Resampling.BILINEAR).reduce(3)
            ink = np.asarray(turned, np.float32) / 255
            halo = _grow(ink)
            out[:, s, a] = (1 - halo) * (1 - ink), 252 * halo * (1 - ink), ink
    return out


def _grow(ink: np.ndarray) -> np.ndarray:
    """The shape one pixel larger, softer at the diagonals."""
    halo = ink.copy()
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            weight = 0.9 if dy and dx else 1.0
            np.maximum(halo, weight * np.roll(ink, (dy, dx), (0, 1)), out=halo)
    return halo


def _strips(word: str) -> np.ndarray:
    """A word in black on a white strip, at five horizontal places, uint8 [5, 12, 48]."""
    bold = icons.font("DejaVuSans-Bold.ttf", 8)
    left, _, right, _ = bold.getbbox(word)
    out = np.empty((5, STRIP, PIXELS), np.uint8)
    for i, shift in enumerate(range(-2, 3)):
        strip = Image.new("L", (PIXELS, STRIP), 248)
        start = (PIXELS - round(right - left)) // 2 + shift
        ImageDraw.Draw(strip).text((start, 1), word, font=bold, fill=0)
        out[i] = np.asarray(strip)
    return out
