"""Scores of images for classes by every way of probing: cosine with a text, or the odds of a probe.

What is linear in the unit image embedding is w . z/|z| + b, with w a unit text vector and b = 0, or
w = scale x the probe's weight and b its bias. That is the score of a text, and of a ridge probe, whose
outputs estimate shares. A logistic probe's logits are only defined up to a number per image, so one of
them alone cannot rank images; its score is the log-odds of the class,

    logit_c - log sum_{k != c} exp logit_k = log p_c / (1 - p_c).

With two classes these are the difference of the logits, which ranks as either of them does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reliance.base.artifacts import check_same, read_table
from reliance.base.errors import RelianceError, make_again
from reliance.encoders.text import TEXT
from reliance.robustness.inputs import Embedded, length, unit, z_blocks
from reliance.robustness.probes import LOGISTIC, load_probe

BLOCK_LOGITS = 1 << 22  # logits of a probe that are held at a time, float64


class Logits(NamedTuple):
    """All classes of a logistic probe, for its log-odds."""

    weight: np.ndarray  # [K, p] float32, times the probe's scale
    bias: np.ndarray  # [K] float32


class Scorers(NamedTuple):
    """S ways of probing C classes; the probe is the last of them."""

    names: tuple[str, ...]  # [S]
    class_ids: np.ndarray  # [C] int64, ascending
    weight: np.ndarray  # [S, C, p] float32
    bias: np.ndarray  # [S, C] float32
    ids: dict[str, str]  # of the artifacts read
    logits: Logits | None = None  # of a logistic probe; None: the last way is linear as well
    probe_kind: str = LOGISTIC
    raw: bool = False  # whether the probe reads z, and not z/|z|
    given: str = ""  # the file of a probe that was not trained here

    def only(self, class_ids: Sequence[int]) -> "Scorers":
        """The same for some of the classes, in this order."""
        rows = np.searchsorted(self.class_ids, class_ids)
        return self._replace(
            class_ids=np.asarray(class_ids, np.int64), weight=self.weight[:, rows], bias=self.bias[:, rows]
        )

    def score(self, unit: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Scores [S, C, n] of embeddings, float32; a logistic probe's are log-odds.

        unit : [n, p] of length 1. lengths : [n], what they had before.
        """
        s, c, p = self.weight.shape
        found = self.weight.reshape(s * c, p) @ unit.T + self.bias.reshape(s * c, 1)
        scores: np.ndarray = found.reshape(s, c, len(unit))
        if self.raw:
            scores[-1] = self.weight[-1] @ (unit * lengths[:, None]).T + self.bias[-1][:, None]
        if self.logits is not None:
            step = max(1, BLOCK_LOGITS // len(self.logits.bias))
            for start in range(0, len(unit), step):
                rows = slice(start, start + step)
                seen = unit[rows] * lengths[rows, None] if self.raw else unit[rows]
                every = seen @ self.logits.weight.T + self.logits.bias
                scores[-1, :, rows] = log_odds(every, self.class_ids).T
        return scores


def log_odds(logits: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """log p_c / (1 - p_c) of a softmax [n, C], float64, for classes `class_ids` of logits [n, K], K >= 2.

    The largest logit of an image is kept apart, so that neither a class of probability near one nor one
    near zero loses its digits.
    """
    logits = logits.astype(np.float64)
    rows, top = np.arange(len(logits)), logits.argmax(axis=1)
    largest = logits[rows, top]
    rest = logits.copy()
    rest[rows, top] = -np.inf
    second = rest.max(axis=1)
    mass = np.exp(rest - second[:, None])  # of the others, relative to the second; the largest is 0
    total = mass.sum(axis=1)
    others = (total[:, None] - mass[:, class_ids]).clip(min=0)
    with np.errstate(divide="ignore"):  # no third class: log 0
        rivals = np.logaddexp(largest[:, None], second[:, None] + np.log(others))
    is_top = top[:, None] == class_ids
    rivals = np.where(is_top, (second + np.log(total))[:, None], rivals)
    odds: np.ndarray = logits[:, class_ids] - rivals
    return odds


def open_scorers(texts: Mapping[str, Path], probe: Path, opened: Embedded) -> Scorers:
    """Text vectors per prompt set, and the probe as "linear".

    Raises RelianceError if they are of other weights or images, or not of the same classes.
    """
    ids: dict[str, str] = {}
    class_ids, weights = None, []
    for name, path in texts.items():
        frame, stamp = read_table(path, TEXT, columns=["class_id", "embedding"])
        _check_weights(path, stamp.inputs["weights"], opened)
        frame = frame.sort_values("class_id")
        found = frame["class_id"].to_numpy(np.int64)
        class_ids = found if class_ids is None else class_ids
        if not np.array_equal(found, class_ids) or len(np.unique(found)) < len(found):
            raise _other_classes(path, len(found), len(class_ids))
        weights.append(np.stack(frame["embedding"].to_list()).astype(np.float32))
        ids[name] = stamp.id
    linear, stamp = load_probe(probe)
    _check_weights(probe, stamp.inputs["weights"], opened)
    check_same("index", (probe, stamp.inputs["index"]), ("the embeddings", opened.ids["index"]))
    if class_ids is None or not np.array_equal(class_ids, np.arange(len(linear.weight))):
        raise _other_classes(probe, len(linear.weight), 0 if class_ids is None else len(class_ids))
    weight = np.stack([*weights, linear.weight * np.float32(linear.scale)])
    bias = np.zeros(weight.shape[:2], np.float32)
    bias[-1] = linear.bias
    logits = Logits(weight[-1], linear.bias) if linear.kind == LOGISTIC else None
    return Scorers(
        (*texts, "linear"),
        class_ids,
        weight,
        bias,
        {**ids, "probe": stamp.id},
        logits,
        linear.kind,
        raw=not linear.normalised,
        given=stamp.params.get("given", ""),
    )


def score_rows(scorers: Scorers, opened: Embedded, chosen: np.ndarray, block_rows: int) -> np.ndarray:
    """Scores float32 [S, C, n] of the n chosen rows of a split, read in blocks; chosen is bool [N]."""
    s, c, _ = scorers.weight.shape
    scores = np.empty((s, c, int(chosen.sum())), np.float32)
    start = 0
    for rows, z in z_blocks(opened.embeddings, chosen, block_rows):
        scores[:, :, start : start + len(rows)] = scorers.score(unit(z), length(z))
        start += len(rows)
    return scores


def _check_weights(path: Path, found: str, opened: Embedded) -> None:
    check_same("encoder weights", (path, found), ("the embeddings", opened.ids["weights"]))


def _other_classes(path: Path, found: int, expected: int) -> RelianceError:
    return RelianceError(
        path,
        "all prompt sets and the probe are of the same classes",
        found=f"{found} classes, or the same ones in other numbers",
        allowed=f"the {expected} classes of the first prompt set, numbered from 0, once each",
        next_step=f"one of them was made for another list of classes: {make_again(path)}",
    )
