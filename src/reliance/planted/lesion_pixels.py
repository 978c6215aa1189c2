"""Draws skin lesions, 48 x 48 RGB: skin, a pigmented spot, hair, a ruler, dark corners.

A spot is the inside of a curve r(angle) around a centre: a circle for a round one, with waves for an
irregular one. Its pigment is one colour, or three that a smooth random field divides. Red skin is the
skin with its red channel raised, as under a red light; the spot takes up some of it.
"""

from typing import NamedTuple

import numpy as np

from reliance.planted.lesions import TONES, Lesions

PIXELS = 48
STREAM = 25  # tag of the random stream
BLOCK = 128  # pictures drawn at once: their arrays fit a CPU's cache
FIELDS, FIELD = 32, 96  # smooth random fields, and their side
HAIRS, RULERS = 48, 8
WAVES = np.arange(2, 7)  # waves around an outline
LIGHT, DARK = (0.60, 0.70), (0.28, 0.38)  # a spot's share of the light of the skin
BROWN = np.array([1.0, 0.92, 0.84])
SPOTS = np.array([(84, 94, 118), (22, 20, 22), (178, 150, 140), (92, 56, 36)], np.float32)


class Bank(NamedTuple):
    """Everything that is drawn only once, float32; the same for every seed."""

    fields: np.ndarray  # [FIELDS, 96, 96] in 0..1: smooth
    grain: np.ndarray  # [FIELDS, 96, 96] about 0: the texture of skin
    hairs: np.ndarray  # [HAIRS, 48, 48]: share of the hair's colour
    rulers: np.ndarray  # [RULERS, 48, 48]: share of the marks' colour


class Spots(NamedTuple):
    """Random choices of the pictures, a row each."""

    centre: np.ndarray  # [n, 2]: row, column
    radius: np.ndarray  # [n] pixels
    waves: np.ndarray  # complex [n, waves]: of the outline, as a share of the radius
    ragged: np.ndarray  # [n]: how far the smooth field moves the outline, as a share of the radius
    edge: np.ndarray  # [n]: width of the outline in pixels
    pigment: np.ndarray  # [n, 3, 3]: main colour and two more
    spread: np.ndarray  # [n]: share of the other colours
    skin: np.ndarray  # [n, 3]
    take: np.ndarray  # [n]: share of the red of the skin that the spot takes up
    field: np.ndarray  # int64 [n, 2]
    crop: np.ndarray  # int64 [n, 2, 2]
    hair: np.ndarray  # int64 [n]
    ruler: np.ndarray  # int64 [n]
    corners: np.ndarray  # [n]: how dark


def make_bank() -> Bank:
    """Draw all fields, hairs and rulers, a fraction of a second."""
    rng = np.random.default_rng(STREAM)
    noise = rng.random((2, FIELDS, FIELD, FIELD))
    smooth = _blur(_blur(noise[0], 6), 6)
    low, high = smooth.min((1, 2), keepdims=True), smooth.max((1, 2), keepdims=True)
    grain = _blur(noise[1], 2) - 0.5
    hairs = np.stack([_hairs(rng) for _ in range(HAIRS)])
    rulers = np.stack([_ruler(rng, side) for side in range(4) for _ in range(RULERS // 4)])
    arrays = ((smooth - low) / (high - low), grain / grain.std(), hairs, rulers)
    return Bank(*(array.astype(np.float32) for array in arrays))


def render(bank: Bank, rows: Lesions, seed: int, stream: int) -> np.ndarray:
    """Pictures, uint8 [n, 3, 48, 48]; the same rows look different under another seed."""
    spots = draw_spots(np.random.default_rng([seed, STREAM, stream]), rows)
    out = np.empty((len(rows.red), 3, PIXELS, PIXELS), np.uint8)
    for start in range(0, len(out), BLOCK):
        block = slice(start, start + BLOCK)
        some = Spots(*(array[block] for array in spots))
        out[block] = _paint(bank, Lesions(*(array[block] for array in rows)), some)
    return out


def draw_spots(rng: np.random.Generator, rows: Lesions) -> Spots:
    """All random choices of `render` at once, in a fixed order."""
    n = len(rows.red)
    height = np.where(rows.irregular, rng.uniform(0.14, 0.20, n), rng.uniform(0.0, 0.02, n))
    waves = rng.normal(size=(n, len(WAVES))) + 1j * rng.normal(size=(n, len(WAVES)))
    waves *= (height / np.abs(waves).sum(1))[:, None] * 2
    skin = np.array(list(TONES.values()))[rows.tone] + rng.normal(0, 6, (n, 3))
    shade = np.where(rows.dark, rng.uniform(*DARK, n), rng.uniform(*LIGHT, n))
    main = skin * BROWN * shade[:, None]
    others = rng.permuted(np.tile(np.arange(len(SPOTS)), (n, 1)), axis=1)[:, :2]
    pigment = np.concatenate([main[:, None], SPOTS[others]], 1) + rng.normal(0, 6, (n, 3, 3))
    return Spots(
        centre=PIXELS / 2 - 0.5 + rng.uniform(-3, 3, (n, 2)),
        radius=rng.uniform(10.0, 13.0, n),
        waves=waves.astype(np.complex64),
        ragged=np.where(rows.irregular, 0.25, 0.0),
        edge=rng.uniform(0.8, 2.0, n),
        pigment=pigment,
        spread=np.where(rows.varied, rng.uniform(0.75, 1.0, n), rng.uniform(0.0, 0.15, n)),
        skin=skin,
        take=rng.uniform(0.4, 1.0, n),
        field=rng.integers(FIELDS, size=(n, 2)),
        crop=rng.integers(FIELD - PIXELS, size=(n, 2, 2)),
        hair=rng.integers(HAIRS, size=n),
        ruler=rng.integers(RULERS, size=n),
        corners=np.where(rows.corners, rng.uniform(0.6, 0.9, n), 0.0),
    )


def spot_masks(bank: Bank, spots: Spots) -> np.ndarray:
    """Share of every pixel that the spot covers, float32 [n, 48, 48]."""
    y, x = np.mgrid[:PIXELS, :PIXELS].astype(np.float32)
    centre = spots.centre.astype(np.float32)[:, :, None, None]
    ray = (x - centre[:, 1]) + 1j * (y - centre[:, 0])
    length = np.abs(ray)
    turn = ray / np.maximum(length, 1e-3)
    curve = np.ones_like(length)
    power = turn.copy()
    for i in range(len(WAVES)):
        power *= turn
        curve += (spots.waves[:, i, None, None] * power).real
    curve += (spots.ragged[:, None, None] * (_crops(bank.fields, spots, 0) - 0.5)).astype(np.float32)
    inside = (spots.radius[:, None, None] * curve - length) / spots.edge[:, None, None]
    return np.asarray(np.clip(inside + 0.5, 0, 1), np.float32)


def _paint(bank: Bank, rows: Lesions, spots: Spots) -> np.ndarray:
    """Pictures of a block, uint8 [n, 3, 48, 48]."""
    mask = spot_masks(bank, spots)[:, None]
    ground, field = _crops(bank.grain, spots, 1), _crops(bank.fields, spots, 1)
    red = np.array([1, 0, 0], np.float32) * rows.red[:, None].astype(np.float32)
    skin = np.minimum(spots.skin * (1 + red), 255).astype(np.float32)[:, :, None, None] + 5 * ground[:, None]
    main, second, third = spots.pigment.astype(np.float32).transpose(1, 0, 2)[..., None, None]
    spread = spots.spread.astype(np.float32)[:, None, None, None]
    upper = np.clip((field[:, None] - 0.55) * 8, 0, 1) * spread
    lower = np.clip((0.42 - field[:, None]) * 8, 0, 1) * spread
    pigment = main * (1 - upper - lower) + second * upper + third * lower + 4 * ground[:, None]
    pigment *= (1 + spots.take[:, None] * red).astype(np.float32)[:, :, None, None]
    image = skin + (pigment - skin) * mask
    y, x = (np.mgrid[:PIXELS, :PIXELS].astype(np.float32) + 0.5) / PIXELS - 0.5
    far = np.clip((np.hypot(x, y) - 0.42) * 6, 0, 1)
    image *= (1 - spots.corners[:, None, None] * far)[:, None].astype(np.float32)
    for present, marks in ((rows.hair, bank.hairs[spots.hair]), (rows.ruler, bank.rulers[spots.ruler])):
        image += (np.float32(34) - image) * (marks * present[:, None, None])[:, None]
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _crops(tiles: np.ndarray, spots: Spots, which: int) -> np.ndarray:
    """A window of a tile for every picture, [n, 48, 48]."""
    rows, columns = (spots.crop[:, which, axis, None] + np.arange(PIXELS) for axis in (0, 1))
    return np.asarray(tiles[spots.field[:, which, None, None], rows[:, :, None], columns[:, None, :]])


def _blur(fields: np.ndarray, width: int) -> np.ndarray:
    """Mean over a wrapping window of `width` pixels, [..., h, w]."""
    for axis in (-2, -1):
        fields = np.mean([np.roll(fields, shift, axis) for shift in range(width)], axis=0)
    return fields


def _hairs(rng: np.random.Generator) -> np.ndarray:
    """A few bent lines across the picture, [48, 48] in 0..1."""
    y, x = np.mgrid[:PIXELS, :PIXELS].astype(np.float64) - PIXELS / 2
    out = np.zeros((PIXELS, PIXELS))
    for _ in range(rng.integers(3, 7)):
        angle, offset, bend = rng.uniform(0, np.pi), rng.uniform(-20, 20), rng.normal(0, 0.008)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        out = np.maximum(out, np.clip(1.1 - np.abs(across - offset - bend * along**2), 0, 0.9))
    return out


def _ruler(rng: np.random.Generator, side: int) -> np.ndarray:
    """Marks at even distances along one side, every fifth one longer, [48, 48] in 0..1."""
    out = np.zeros((PIXELS, PIXELS))
    step, start = rng.integers(3, 5), rng.integers(4)
    for number, column in enumerate(range(start, PIXELS, step)):
        out[: 8 if number % 5 == 0 else 5, column] = 0.9
    return np.rot90(out, side).copy()
