"""What can be done about a case: five kinds of repair, each in a few strengths to choose from.

  words      another prompt of the class: a set of prompts, or a user's own
  contrast   t - lambda (t_w - mean over classes of t), w a word for what the distractors show
  text_edit  t - lambda B / |B|, B = sum of a_j B_j over the carriers, a_j their mean activation on the case's
             images: what the carriers add to the embedding of an image is taken out of the text
  unit_edit  carriers clipped at what the class's own images show (their mean, or 90 % of them), at inference
  probe      a linear discriminant of the class against all others, w = (S + a^2/12 sum u u')^-1 (m_1 - m_0),
             with Eq. 34's shifts x + a (p - 1/2) u, p uniform, in their expectation (variance a^2 / 12), u of
             Eq. 33 for what the case's unit or family shows and for what it absorbed; scaled and shifted to
             the prompt's mean outputs on the class and on the others, so that it stands beside other prompts

Everything is learned from the images of one half. Vectors are not scaled to unit length: an image that has
nothing of what is taken out keeps its output.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reliance.audits.directions import direction, thresholds
from reliance.repair.scene import Scene

REPAIRS = ("words", "contrast", "text_edit", "unit_edit", "probe")  # the cheapest first
STRENGTHS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2)
CONTRASTS = (0.1, 0.2, 0.3, 0.5, 0.8)
SHIFTS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)  # alpha of Eq. 34
SHRINK = 0.01  # of S towards a multiple of the identity
MANY = 0.9  # share of the class's images below a cap


class Candidate(NamedTuple):
    """One repair in one strength."""

    repair: str  # of REPAIRS
    choice: str  # in words
    edit: Mapping[str, object]  # plain JSON values
    weight: np.ndarray  # float64 [p]; of a unit edit the prompt itself
    bias: float
    scores: np.ndarray  # outputs of all images of the scene, float32 [n]

    @property
    def record(self) -> str:
        """`edit` as one line."""
        return json.dumps(self.edit, sort_keys=True)


class Known(NamedTuple):
    """What is learned from: a case, and texts."""

    row: int  # of the class
    own: np.ndarray  # places of the class's images of the learning half
    others: np.ndarray  # of other images of it, distractors among them
    distractors: np.ndarray  # of the case's images of it
    groups: Sequence[np.ndarray]  # units of the case's own unit or family, and those it absorbed
    prompts: Mapping[str, np.ndarray]  # name -> text vector of the class, unit [p]
    words: Mapping[str, np.ndarray]  # word for what the distractors show -> text vector, unit [p]


def candidates(scene: Scene, known: Known) -> Iterator[Candidate]:
    """All repairs of a case in all their strengths, by kind."""
    yield from words(scene, known)
    yield from contrast(scene, known)
    yield from text_edits(scene, known)
    yield from unit_edits(scene, known)
    yield from probes(scene, known)


def words(scene: Scene, known: Known) -> Iterator[Candidate]:
    """The class's other prompts."""
    for name, vector in known.prompts.items():
        if not np.allclose(vector, scene.text[known.row], atol=1e-6):
            yield _linear(scene, "words", f"prompts {name}", {"prompts": name}, vector)


def contrast(scene: Scene, known: Known) -> Iterator[Candidate]:
    """The prompt without what distractors are called."""
    text = scene.text[known.row].astype(np.float64)
    usual = scene.text.mean(axis=0, dtype=np.float64)
    for word, vector in known.words.items():
        for strength in CONTRASTS:
            edit = {"word": word, "strength": strength}
            changed = text - strength * (vector - usual)
            yield _linear(scene, "contrast", f"minus {strength:g} x '{word}'", edit, changed)


def text_edits(scene: Scene, known: Known) -> Iterator[Candidate]:
    """The prompt without what the carriers add to an embedding."""
    text, units = scene.text[known.row].astype(np.float64), np.concatenate(known.groups)
    active = np.asarray(scene.codes[:, units].tocsr()[known.distractors].mean(axis=0)).ravel()
    added = active @ scene.lens(units)
    length = float(np.linalg.norm(added))
    if not length:
        return
    for strength in STRENGTHS:
        edit = {"units": units.tolist(), "strength": strength}
        changed = text - strength * added / length
        yield _linear(scene, "text_edit", f"minus {strength:g} x what the units add", edit, changed)


def unit_edits(scene: Scene, known: Known) -> Iterator[Candidate]:
    """The carriers at most as active as on the class itself."""
    units = np.concatenate(known.groups)
    own = scene.codes[:, units].tocsr()[known.own].toarray()
    if not len(own):
        return
    text = scene.text[known.row].astype(np.float64)
    for name, caps in (("the mean", own.mean(axis=0)), ("nine in ten", np.quantile(own, MANY, axis=0))):
        edit = {"units": units.tolist(), "caps": [float(f"{cap:.6g}") for cap in caps]}
        scores = scene.without(units, text, np.array(edit["caps"]))
        yield Candidate("unit_edit", f"units at most at {name} of the class", edit, text, 0.0, scores)


def probes(scene: Scene, known: Known) -> Iterator[Candidate]:
    """Linear discriminants that do not look along what the carriers show."""
    if len(known.own) < 2 or len(known.others) < 2:
        return
    one, other = (scene.unit[places].astype(np.float64) for places in (known.own, known.others))
    spread = (np.cov(one.T) + np.cov(other.T)) / 2
    spread += SHRINK * np.trace(spread) / len(spread) * np.eye(len(spread))
    gap = one.mean(axis=0) - other.mean(axis=0)
    along = np.stack([_direction(scene, known, units) for units in known.groups])
    y = scene.outputs(scene.text[known.row])
    means = float(y[known.own].mean()), float(y[known.others].mean())
    for alpha in SHIFTS:
        w = np.linalg.solve(spread + alpha**2 / 12 * along.T @ along, gap)
        found = float(w @ one.mean(axis=0)), float(w @ other.mean(axis=0))
        scale = (means[0] - means[1]) / (found[0] - found[1])
        edit = {"alpha": alpha, "units": np.concatenate(known.groups).tolist()}
        bias = means[0] - scale * found[0]
        yield _linear(scene, "probe", f"a probe, shifts of {alpha:g}", edit, scale * w, bias)


def _direction(scene: Scene, known: Known, units: np.ndarray) -> np.ndarray:
    """u of Eq. 33 for units together, from images of other classes; zeros without any."""
    if not len(units):
        return np.zeros(scene.unit.shape[1])
    active = np.asarray(scene.codes[:, units].tocsr()[known.others].sum(axis=1)).ravel()
    return direction(scene.unit[known.others], active, thresholds(active, None, None)).vector


def _linear(
    scene: Scene, repair: str, choice: str, edit: Mapping[str, object], weight: np.ndarray, bias: float = 0.0
) -> Candidate:
    scores = scene.outputs(weight) + np.float32(bias)
    return Candidate(repair, choice, edit, weight.astype(np.float64), bias, scores)
