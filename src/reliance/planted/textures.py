"""Backgrounds: scalar fields in 0..1, 96 x 96, and the two colours they blend.

Neutral backgrounds take two random pastels; the others have colours of their own.
"""

from collections.abc import Callable

import numpy as np

TILE, TILES = 96, 24
PASTELS = np.array(
    [
        (235, 225, 190),
        (190, 220, 245),
        (245, 200, 205),
        (200, 235, 200),
        (220, 220, 225),
        (245, 220, 160),
        (215, 195, 240),
        (250, 250, 250),
        (180, 190, 200),
    ],
    np.float32,
)
Field = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]


def pastels(rng: np.random.Generator, count: int) -> np.ndarray:
    """Two light colours per picture, the second a little darker, float32 [count, 2, 3]."""
    chosen = PASTELS[rng.integers(len(PASTELS), size=(count, 2))]
    chosen[:, 1] *= 0.86
    chosen += rng.normal(0, 8, chosen.shape).astype(np.float32)
    return np.clip(chosen, 0, 255)


def tiles(name: str) -> np.ndarray:
    """The tiles of a background, float32 [24, 96, 96]; always the same ones."""
    rng = np.random.default_rng([7, *name.encode()])
    y, x = np.mgrid[:TILE, :TILE].astype(np.float64)
    field = FIELDS[name][0]
    return np.stack([np.clip(field(rng, x, y), 0, 1) for _ in range(TILES)]).astype(np.float32)


def tints(name: str) -> np.ndarray:
    """Colours of 0 and 1 in a background's tiles, [2, 3]; zeros for a neutral one."""
    colours = FIELDS[name][1]
    return np.zeros((2, 3)) if colours is None else np.array(colours, dtype=np.float64)


def _on(condition: np.ndarray) -> np.ndarray:
    """1 where true, else 0."""
    return np.asarray(condition, dtype=np.float64)


def _blur(field: np.ndarray, down: int, across: int) -> np.ndarray:
    """Mean over a wrapping window, scaled back to 0..1."""
    for axis, width in ((0, down), (1, across)):
        field = np.mean([np.roll(field, shift, axis) for shift in range(width)], axis=0)
    low, high = field.min(), field.max()
    return np.asarray((field - low) / (high - low))


def _noise(rng: np.random.Generator) -> np.ndarray:
    return rng.random((TILE, TILE))


def _plain(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.zeros_like(x) + 0.2 * rng.random()


def _gradient(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    angle = rng.random() * 2 * np.pi
    ramp = np.cos(angle) * (x - 48) + np.sin(angle) * (y - 48)
    return np.asarray(0.5 + ramp / 80)


def _stripes(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    angle, period = rng.uniform(-0.5, 0.5), rng.uniform(7, 11)
    return _on(np.sin(2 * np.pi * (np.sin(angle) * x + np.cos(angle) * y) / period) > 0)


def _dots(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    period, dx, dy = rng.uniform(8, 11), *(rng.random(2) * 10)
    return _on(np.hypot((x + dx) % period - period / 2, (y + dy) % period - period / 2) < 2.2)


def _cloudy(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _blur(_blur(_noise(rng), 7, 7), 7, 7)


def _waves(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    phase, period = rng.random() * 50, rng.uniform(9, 12)
    height = y + 2.5 * np.sin(2 * np.pi * (x + phase) / 18) + phase
    return np.asarray(0.5 + 0.5 * np.sin(2 * np.pi * height / period))


def _grass(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 1.6 * _blur(_noise(rng), 9, 2) - 0.3


def _checker(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    period, dx, dy = rng.uniform(11, 15), *(rng.random(2) * 30)
    return _on(((x + dx) // period + (y + dy) // period) % 2 == 1)


def _night(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _on(_noise(rng) > 0.97)


def _sand(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    dunes = 0.5 + 0.5 * np.sin(2 * np.pi * (y + 6 * _cloudy(rng, x, y) * 2 + rng.random() * 40) / 17)
    return np.asarray(0.55 * dunes + 0.45 * _noise(rng))


def _sky(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(4 * (_blur(_blur(_noise(rng), 9, 13), 9, 13) - 0.4))


def _bricks(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    y, x = y + rng.integers(16), x + rng.integers(16)
    row = y // 8
    return _on((y % 8 < 1.5) | ((x + 8 * (row % 2)) % 16 < 1.5))


def _polka(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    dx, dy = rng.random(2) * 16
    return _on(np.hypot((x + dx) % 16 - 8, (y + dy) % 16 - 8) < 4.6)


def _tartan(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    dx, dy = rng.random(2) * 18
    return 0.5 * _on((x + dx) % 18 < 9) + 0.5 * _on((y + dy) % 18 < 9)


def _rings(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    radius = np.hypot(x - rng.uniform(30, 66), y - rng.uniform(30, 66))
    return _on(np.sin(2 * np.pi * radius / 13) > 0)


def _bars(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _on(np.sin(2 * np.pi * (x + y + rng.random() * 20) / 16) > 0)


def _zigzag(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    tooth = np.abs((x + rng.random() * 16) % 16 - 8)
    return _on((y + tooth + rng.random() * 14) % 14 < 7)


def _mesh(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    shift = rng.random() * 12
    return _on(((x + y + shift) % 12 < 2.2) | ((x - y + shift) % 12 < 2.2))


Colour = tuple[int, int, int]
FIELDS: dict[str, tuple[Field, tuple[Colour, Colour] | None]] = {
    "plain background": (_plain, None),
    "gradient background": (_gradient, None),
    "striped background": (_stripes, None),
    "dotted background": (_dots, None),
    "cloudy noise": (_cloudy, None),
    "sea waves": (_waves, ((25, 75, 150), (120, 190, 235))),
    "green grass": (_grass, ((15, 60, 10), (120, 195, 50))),
    "checker board": (_checker, ((60, 40, 25), (240, 230, 205))),
    "night sky": (_night, ((20, 25, 85), (255, 255, 230))),
    "yellow sand": (_sand, ((180, 120, 45), (240, 195, 115))),
    "cloudy sky": (_sky, ((80, 165, 235), (250, 250, 255))),
    "brick wall": (_bricks, ((165, 70, 40), (225, 195, 165))),
    "polka background": (_polka, ((220, 45, 80), (255, 250, 250))),
    "tartan background": (_tartan, ((240, 235, 205), (60, 140, 120))),
    "target rings": (_rings, ((255, 250, 240), (235, 115, 40))),
    "diagonal bars": (_bars, ((245, 245, 255), (60, 90, 215))),
    "zigzag background": (_zigzag, ((250, 220, 70), (125, 50, 140))),
    "wire mesh": (_mesh, ((190, 245, 235), (10, 85, 90))),
}
