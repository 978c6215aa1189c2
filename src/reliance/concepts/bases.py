"""Stage `basis_table`: the neurons and the principal axes of class tokens, named as an SAE's latents are.

    neurons   coordinates of x - mean x
    pca       coordinates of x - mean x along the principal axes of the class tokens (Fig. 4 b)

x [d] class token; mean and axes are those of the split itself. A direction has two ends, and each is
a component of its own: component 2i is the positive part of coordinate i, 2i + 1 of its negative, so
m = 2d. That is generous to the baselines: they get twice as many components as directions. From here
on they take the way of the latents of an SAE: activations, top images, statistics, clarity, name.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reliance.base.artifacts import write_table
from reliance.base.errors import RelianceError
from reliance.base.rows import PartRange, Parts
from reliance.codes.store import Entries
from reliance.encoders.stored import Embeddings
from reliance.naming.table import COMPONENTS, open_labeller, table_of

BASES = ("neurons", "pca")
_ENTRIES = 1 << 22  # activations held at a time: every image has d of them
_SAME_SIZE = 1e-6  # entries of an axis that differ by less, relatively, count as equal: rounding decides else


class Centre(NamedTuple):
    """Where the class tokens of a split lie."""

    mean: np.ndarray  # over readable images, float64 [d]
    readable: int  # images


class Basis:
    """Class tokens as activations of 2d components (`codes.store.Activations`).

    tokens : x [N, d] and valid [N]; unreadable images have no activations.
    axes : float [d, d], one direction per row; None for the coordinates themselves.
    """

    def __init__(self, tokens: Parts, centre: Centre, axes: np.ndarray | None = None) -> None:
        self.path, self.rows, self.stamp = tokens.path, tokens.rows, tokens.stamp
        self.readable = centre.readable
        self._tokens, self._mean = tokens, centre.mean.astype(np.float32)
        self._axes = None if axes is None else axes.T.astype(np.float32)

    @property
    def m(self) -> int:
        """Two components per coordinate."""
        return 2 * len(self._mean)

    def blocks(self, block_rows: int) -> Iterator[PartRange]:
        """Ranges that cover the split, of at most `block_rows` rows and few enough activations."""
        return self._tokens.blocks(min(block_rows, max(1, _ENTRIES // len(self._mean))))

    def coordinates(self, start: int, stop: int) -> np.ndarray:
        """Signed coordinates float32 [n, d] of rows [start, stop); zeros where unreadable."""
        found = self._tokens.read("x", start, stop).astype(np.float32) - self._mean
        found[~self._tokens.read("valid", start, stop)] = 0
        return found if self._axes is None else found @ self._axes

    def entries(self, start: int, stop: int) -> Entries:
        """The non-zero activations of rows [start, stop), values float32."""
        signed = self.coordinates(start, stop)
        row, axis = np.nonzero(signed)
        value = signed[row, axis]
        return Entries(row + start, 2 * axis + (value < 0), np.abs(value))


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


def open_basis(tokens: Parts, basis: str, block_rows: int) -> Basis:
    """The basis called `basis`, of BASES, fitted to the readable class tokens of a split.

    Raises RelianceError for an unknown name.
    """
    if basis not in BASES:
        raise RelianceError(
            tokens.path,
            "a basis of x is one that is known",
            found=f"basis '{basis}'",
            allowed=" or ".join(BASES),
            next_step="correct the name of the table that is asked for",
        )
    centre = centre_of(tokens, block_rows)
    if basis == "neurons":
        return Basis(tokens, centre)
    return Basis(tokens, centre, principal_axes(covariance(tokens, centre, block_rows)))


def basis_table(
    *,
    embeddings: Path,
    labels: Path,
    vocabulary: Path,
    components: Path,
    basis: str,
    top_n: int = 20,
    min_active: int = 20,
    block_rows: int = 16384,
) -> None:
    """Write statistics, clarity and name of every component of a basis of class tokens, as COMPONENTS.

    embeddings : class tokens of a split. basis : "neurons" | "pca", fitted to this split.
    labels, vocabulary, top_n, min_active : as for `component_table`.
    Raises RelianceError if the inputs do not belong together.
    """
    tokens = Embeddings(embeddings)
    found = open_basis(tokens, basis, block_rows)
    labeller = open_labeller(found, labels, vocabulary)
    frame = table_of(found, labeller, None, top_n, min_active, block_rows)
    params = {"basis": basis, "top_n": top_n, "min_active": min_active}
    write_table(components, frame, COMPONENTS, params, {"embeddings": tokens.stamp.id, **labeller.ids})


def _readable(tokens: Parts, block_rows: int) -> Iterator[np.ndarray]:
    """The class tokens of readable images, float64 [n, d], block by block."""
    for start, stop in tokens.blocks(block_rows):
        valid = tokens.read("valid", start, stop)
        yield tokens.read("x", start, stop)[valid].astype(np.float64)
