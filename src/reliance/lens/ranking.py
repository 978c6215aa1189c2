"""Effects of neurons ranked by their size, some images at a time: phi - phibar, and the strongest of each.

|phi_n(I) - phibar_n|^2 = dc' G_n dc with dc = c_n(I) - cbar_n and G_n = U_n U_n' [K, K]: no vector of the
embedding's width is made. With a common part q(I)/N (`shared`) there is no such form, and vectors are made.
"""

from typing import NamedTuple, Self

import numpy as np
import torch

_ELEMENTS = 1 << 26  # of vectors of effects that are held at a time


def grams(u: np.ndarray) -> np.ndarray:
    """G float32 [N, K, K] of U [N, K, p]."""
    found: np.ndarray = u @ u.transpose(0, 2, 1)
    return found


def vectors(dc: np.ndarray, u: np.ndarray, dq: np.ndarray | None = None) -> np.ndarray:
    """phi - phibar float32 [n, m, p] of dc [n, m, K], U [m, K, p] and q - qbar over N [n, p]."""
    found: np.ndarray = (dc.transpose(1, 0, 2) @ u).transpose(1, 0, 2)
    return found if dq is None else found + dq[:, None]


def norms(dc: np.ndarray, u: np.ndarray, gram: np.ndarray | None, dq: np.ndarray | None = None) -> np.ndarray:
    """|phi - phibar| float32 [n, N]; without a Gram matrix from the vectors themselves."""
    if gram is not None and dq is None:
        x = torch.from_numpy(np.ascontiguousarray(dc.transpose(1, 0, 2)))  # [N, n, K]
        squared = ((x @ torch.from_numpy(gram)) * x).sum(-1).T
        return squared.clamp(min=0).sqrt().numpy()
    step = max(1, _ELEMENTS // max(1, len(dc) * u.shape[2]))
    found = [
        np.linalg.norm(vectors(dc[:, i : i + step], u[i : i + step], dq), axis=2)
        for i in range(0, dc.shape[1], step)
    ]
    return np.concatenate(found, 1)


class Ranking(NamedTuple):
    """Means of a sample and each neuron's s strongest images; -1 is a place that no image has."""

    images: np.ndarray  # int64 (): how many there were
    total: np.ndarray  # float64 [N, K]: sum of c
    direct: np.ndarray  # float64 [N]: sum of first-order coefficients
    about: np.ndarray  # float32 [N, K]: means that images are ranked by
    image_id: np.ndarray  # int64 [N, s], the strongest first
    norm: np.ndarray  # float32 [N, s], about these means
    coefficients: np.ndarray  # float32 [N, s, K]
    common_total: np.ndarray | None = None  # float64 [p], of `shared` only, as the next two
    common_about: np.ndarray | None = None  # float32 [p]
    common: np.ndarray | None = None  # q float32 [N, s, p]

    @classmethod
    def empty(cls, shape: tuple[int, ...], kept: int, shared: bool) -> Self:
        """No image yet, of N neurons, K paths, width p."""
        n, k, p = shape
        values = cls(
            np.zeros((), np.int64),
            np.zeros((n, k)),
            np.zeros(n),
            np.zeros((n, k), np.float32),
            np.full((n, kept), -1),
            np.full((n, kept), -np.inf, np.float32),
            np.zeros((n, kept, k), np.float32),
        )
        if not shared:
            return values
        more = np.zeros(p), np.zeros(p, np.float32), np.zeros((n, kept, p), np.float32)
        return values._replace(common_total=more[0], common_about=more[1], common=more[2])

    def about_means(self, mean: np.ndarray, common: np.ndarray | None = None) -> Self:
        """Ranked by distance from these means [N, K] and [p]."""
        shared = {"common_about": common.astype(np.float32)} if common is not None else {}
        return self._replace(about=mean.astype(np.float32), **shared)

    def summed(self, arrays: dict[str, np.ndarray]) -> Self:
        """With further images in the sums alone."""
        c, q = arrays["coefficients"], arrays.get("common")
        more: dict[str, np.ndarray] = {}
        if q is not None and self.common_total is not None:
            more["common_total"] = self.common_total + q.astype(np.float64).sum(0)
        return self._replace(
            images=self.images + len(c),
            total=self.total + c.astype(np.float64).sum(0),
            direct=self.direct + arrays["direct"].astype(np.float64).sum(0),
            **more,
        )

    def added(self, arrays: dict[str, np.ndarray], u: np.ndarray, gram: np.ndarray | None) -> Self:
        """With further images: arrays as `store.unscaled` gives them."""
        c, ids = arrays["coefficients"], arrays["image_id"]
        if not len(c):
            return self
        q, neurons, kept = arrays.get("common"), len(u), self.norm.shape[1]
        dq = None if q is None else (q - self.common_about) / neurons
        size = norms(c - self.about, u, gram, dq)
        strong = np.argsort(-size, axis=0, kind="stable")[:kept].T  # [N, <= s]
        rows = np.arange(neurons)[:, None]
        norm = np.concatenate([self.norm, size.T[rows, strong]], 1)
        order = np.argsort(-norm, axis=1, kind="stable")[:, :kept]
        image_id = np.concatenate([self.image_id, ids[strong]], 1)
        own = np.concatenate([self.coefficients, c.transpose(1, 0, 2)[rows, strong]], 1)
        more: dict[str, np.ndarray] = {}
        if q is not None and self.common is not None:
            more["common"] = np.concatenate([self.common, q[strong]], 1)[rows, order]
        return self.summed(arrays)._replace(
            image_id=image_id[rows, order],
            norm=norm[rows, order],
            coefficients=own[rows, order],
            **more,
        )

    @property
    def mean(self) -> np.ndarray:
        """cbar float32 [N, K] over all images."""
        return (self.total / max(1, int(self.images))).astype(np.float32)

    @property
    def common_mean(self) -> np.ndarray | None:
        """qbar float32 [p]."""
        if self.common_total is None:
            return None
        return (self.common_total / max(1, int(self.images))).astype(np.float32)

    def recentred(self, u: np.ndarray) -> Self:
        """About the means over all images: what was kept is ranked again."""
        mean, q = self.mean, self.common_mean
        size = np.empty_like(self.norm)
        for n in range(len(u)):
            dq = None if q is None or self.common is None else (self.common[n] - q) / len(u)
            size[n] = norms((self.coefficients[n] - mean[n])[:, None], u[n : n + 1], None, dq)[:, 0]
        size[self.image_id < 0] = -np.inf
        rows, order = np.arange(len(u))[:, None], np.argsort(-size, axis=1, kind="stable")
        moved = {"norm": size, "image_id": self.image_id, "coefficients": self.coefficients}
        moved |= {} if self.common is None else {"common": self.common}
        about = self.about_means(mean, q)
        return about._replace(**{name: values[rows, order] for name, values in moved.items()})

    def merged(self, other: Self) -> Self:
        """Of two parts of a sample, with all that was kept of both; to be ranked again."""
        found = {}
        for name in self._fields:
            a, b = getattr(self, name), getattr(other, name)
            if a is None or name.endswith("about"):
                found[name] = a
            else:
                sums = name in ("images", "total", "direct", "common_total")
                found[name] = a + b if sums else np.concatenate([a, b], 1)
        return self._replace(**found)

    def first(self, kept: int) -> Self:
        """The strongest `kept` images of each neuron alone."""
        names = ("image_id", "norm", "coefficients", *(["common"] if self.common is not None else []))
        return self._replace(**{name: getattr(self, name)[:, :kept] for name in names})
