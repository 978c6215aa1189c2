"""Neurons, principal axes and random directions as units: coordinates of site vectors along fixed directions.

    neurons   coordinates of x - mean x
    pca       coordinates of x - mean x along the principal axes of the site vectors (Fig. 4 b)
    random    the same along axes that are rotated at random: what any directions would find, a control

x [d] site vector; mean and axes are those of the embeddings that a basis is fitted to. A direction has two
ends, and each is a component of its own: component 2i is the positive part of coordinate i, 2i + 1 of its
negative, so m = 2d. That is generous to the baselines: they get twice as many components as directions. From
here on they take the way of the latents of an SAE: activations, top images, statistics, clarity, name;
relevance, deletion, insertion. With all of them at 0 the site vector is the mean.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from reliance.base.artifacts import check_same
from reliance.base.errors import RelianceError
from reliance.base.rows import PartRange, Parts
from reliance.encoders.stored import Embeddings, check_site
from reliance.units.protocol import Entries, Sources

BASES = ("neurons", "pca", "random")
_ENTRIES = 1 << 22  # activations held at a time: every image has d of them
_FIT_ROWS = 16384  # rows read at a time for mean and axes
_SAME_SIZE = 1e-6  # entries of an axis that differ by less, relatively, count as equal: rounding decides else


class Centre(NamedTuple):
    """Where the class tokens of a split lie."""

    mean: np.ndarray  # over readable images, float64 [d]
    readable: int  # images


class Basis:
    """Site vectors as activations of 2d components (`units.protocol.Units`).

    tokens : x [N, d] and valid [N]; unreadable images have no activations.
    centre : mean of the embeddings that the basis is fitted to, and readable images of `tokens`.
    axes : float [d, d], one direction per row; None for the coordinates themselves.
    ids : of what the basis is fitted to.
    """

    def __init__(
        self,
        tokens: Parts,
        centre: Centre,
        axes: np.ndarray | None = None,
        ids: dict[str, str] | None = None,
    ) -> None:
        self.path, self.rows, self.stamp = tokens.path, tokens.rows, tokens.stamp
        self.readable, self.ids = centre.readable, ids or {}
        self._tokens, self.offset = tokens, centre.mean.astype(np.float32)
        self._axes = None if axes is None else axes.T.astype(np.float32)

    @property
    def m(self) -> int:
        """Two components per coordinate."""
        return 2 * len(self.offset)

    @property
    def directions(self) -> np.ndarray:
        """Both ends of every direction, float32 [2d, d]."""
        axes = np.eye(len(self.offset), dtype=np.float32) if self._axes is None else self._axes.T
        return np.stack([axes, -axes], axis=1).reshape(self.m, -1)

    def blocks(self, block_rows: int) -> Iterator[PartRange]:
        """Ranges that cover the split, of at most `block_rows` rows and few enough activations."""
        return self._tokens.blocks(min(block_rows, max(1, _ENTRIES // len(self.offset))))

    def coordinates(self, start: int, stop: int) -> np.ndarray:
        """Signed coordinates float32 [n, d] of rows [start, stop); zeros where unreadable."""
        found = self._tokens.read("x", start, stop).astype(np.float32) - self.offset
        found[~self._tokens.read("valid", start, stop)] = 0
        return found if self._axes is None else found @ self._axes

    def entries(self, start: int, stop: int) -> Entries:
        """The non-zero activations of rows [start, stop), values float32."""
        signed = self.coordinates(start, stop)
        row, axis = np.nonzero(signed)
        value = signed[row, axis]
        return Entries(row + start, 2 * axis + (value < 0), np.abs(value))

    def block(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes of rows [start, stop) with k = d: one end of every coordinate, in its place."""
        signed = self.coordinates(start, stop)
        return np.abs(signed), 2 * np.arange(signed.shape[1]) + (signed < 0)


def centre_of(tokens: Parts, block_rows: int) -> Centre:
    """Mean of the readable class tokens, in blocks of rows."""
    total, readable = np.zeros(tokens.layouts["x"].shape), 0
    for x in _readable(tokens, block_rows):
        total += x.sum(0)
        readable += len(x)
    return Centre(total / max(readable, 1), readable)


def covariance(tokens: Parts, centre: Centre, block_rows: int) -> np.ndarray:
    """Covariance (ddof=0) of the readable class tokens, float64 [d, d], in blocks of rows."""
    products = np.zeros((len(centre.mean), len(centre.mean)))
    for x in _readable(tokens, block_rows):
        centred = x - centre.mean
        products += centred.T @ centred
    return products / max(centre.readable, 1)


def principal_axes(cov: np.ndarray) -> np.ndarray:
    """Principal axes of a covariance [d, d], as rows [d, d] by falling variance.

    The entry of an axis that is largest in size is positive (of equal ones the first). An axis along
    which the data do not vary, but for rounding, is all zeros: nothing ever lies on it.
    """
    variance, columns = np.linalg.eigh(cov)
    axes = columns.T[::-1]
    size = np.abs(axes)
    largest = (size > (1 - _SAME_SIZE) * size.max(1, keepdims=True)).argmax(1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    varies = variance[::-1] > variance[-1] * len(cov) * np.finfo(np.float64).eps
    result: np.ndarray = axes * varies[:, None]
    return result


def random_axes(d: int, seed: int = 0) -> np.ndarray:
    """d axes at right angles, as rows [d, d], uniform over all rotations and reflections."""
    axes, triangle = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))
    result: np.ndarray = (axes * np.sign(np.diag(triangle))).T
    return result


def open_basis(tokens: Parts, basis: str, block_rows: int) -> Basis:
    """The basis called `basis`, of BASES, fitted to the readable site vectors of a split.

    Raises RelianceError for an unknown name, or image embeddings in place of site vectors.
    """
    _check_kind(tokens, basis)
    return Basis(tokens, *_fit(tokens, basis, block_rows))


def open_neurons(sources: Sources) -> Basis:
    """Kind of units "neurons"."""
    return _open(sources, "neurons")


def open_axes(sources: Sources) -> Basis:
    """Kind of units "pca"."""
    return _open(sources, "pca")


def open_random(sources: Sources) -> Basis:
    """Kind of units "random"."""
    return _open(sources, "random")


def _open(sources: Sources, basis: str) -> Basis:
    """The basis of a split, fitted to `sources.fitted`.

    Raises RelianceError if that comes from another encoder or site, or has no site vectors.
    """
    tokens = sources.embeddings
    fitted = Embeddings(sources.fitted) if sources.fitted else tokens
    _check_kind(fitted, basis)
    given = tokens.stamp.inputs["weights"]
    check_same("encoder weights", (fitted.path, fitted.stamp.inputs["weights"]), (tokens.path, given))
    check_site(fitted.path, fitted.site, tokens)
    centre, axes = _fit(fitted, basis, _FIT_ROWS)
    own = centre._replace(readable=tokens.rows - len(tokens.excluded))
    return Basis(tokens, own, axes, {f"{basis}_fitted_to": fitted.stamp.id})


def _fit(tokens: Parts, basis: str, block_rows: int) -> tuple[Centre, np.ndarray | None]:
    """Mean and axes of the readable site vectors of a split."""
    centre = centre_of(tokens, block_rows)
    if basis == "neurons":
        return centre, None
    if basis == "random":
        return centre, random_axes(len(centre.mean))
    return centre, principal_axes(covariance(tokens, centre, block_rows))


def _check_kind(tokens: Parts, basis: str) -> None:
    if basis not in BASES or "x" not in tokens.layouts:
        raise RelianceError(
            tokens.path,
            "bases are compared on class tokens",
            found=f"basis '{basis}' of {', '.join(tokens.layouts)}",
            allowed=f"{', '.join(BASES[:-1])} or {BASES[-1]} of the array 'x'",
            next_step="check what the rule names: the manifest of an encoder, not of a labeller",
        )


def _readable(tokens: Parts, block_rows: int) -> Iterator[np.ndarray]:
    """The class tokens of readable images, float64 [n, d], block by block."""
    for start, stop in tokens.blocks(block_rows):
        valid = tokens.read("valid", start, stop)
        yield tokens.read("x", start, stop)[valid].astype(np.float64)
