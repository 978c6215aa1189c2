"""Scores of images for classes by every way of probing: cosine with a text, or logit of a probe.

All are linear in the unit image embedding: score = w . z/|z| + b, with w a unit text vector and b = 0,
or w = scale x the probe's weight and b its bias.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reliance.base.artifacts import check_same, read_table
from reliance.base.errors import RelianceError, make_again
from reliance.encoders.text import TEXT
from reliance.robustness.inputs import Embedded, unit_blocks
from reliance.robustness.probes import load_probe


class Scorers(NamedTuple):
    """S ways of probing C classes."""

    names: tuple[str, ...]  # [S]
    class_ids: np.ndarray  # [C] int64, ascending
    weight: np.ndarray  # [S, C, p] float32
    bias: np.ndarray  # [S, C] float32
    ids: dict[str, str]  # of the artifacts read

    def only(self, class_ids: Sequence[int]) -> "Scorers":
        """The same for some of the classes, in this order."""
        rows = np.searchsorted(self.class_ids, class_ids)
        return self._replace(
            class_ids=np.asarray(class_ids, np.int64), weight=self.weight[:, rows], bias=self.bias[:, rows]
        )

    def score(self, unit: np.ndarray) -> np.ndarray:
        """Scores [S, C, n] of unit embeddings [n, p], float32."""
        s, c, p = self.weight.shape
        found = self.weight.reshape(s * c, p) @ unit.T + self.bias.reshape(s * c, 1)
        scores: np.ndarray = found.reshape(s, c, len(unit))
        return scores


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
    return Scorers((*texts, "linear"), class_ids, weight, bias, {**ids, "probe": stamp.id})


def score_rows(scorers: Scorers, opened: Embedded, chosen: np.ndarray, block_rows: int) -> np.ndarray:
    """Scores float32 [S, C, n] of the n chosen rows of a split, read in blocks; chosen is bool [N]."""
    s, c, _ = scorers.weight.shape
    scores = np.empty((s, c, int(chosen.sum())), np.float32)
    start = 0
    for rows, block in unit_blocks(opened.embeddings, chosen, block_rows):
        scores[:, :, start : start + len(rows)] = scorers.score(block)
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
