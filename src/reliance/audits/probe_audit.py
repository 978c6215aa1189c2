"""The audit of a linear probe on image embeddings (Sec. 5.4, App. E).

A logistic regression learns to tell one class from others. Its output is attributed to components; the one
that speaks most for a class is suspected to be a shortcut. A robust probe learns from embeddings that are
blurred along the component's direction. Both are tested on images in which the component's content was made
stronger or weaker: if the plain probe's accuracy falls, it used the shortcut.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from reliance.attribution.inputs import LATENTS, Computing, Explained
from reliance.audits.choice import Candidate, candidate, no_direction, rows_to_consider, shift_under
from reliance.audits.directions import augment, uniform_shares
from reliance.audits.doubts import FEWEST
from reliance.audits.files import Probes, load_probes, save_probes
from reliance.audits.given import Given, open_given
from reliance.audits.inputs import (
    Learned,
    blocks,
    open_learned,
    open_probes,
    open_raw,
    read_split_table,
    unit_embeddings,
)
from reliance.audits.relevance import mean_relevances
from reliance.audits.schema import CHOICE_KIND, CHOICE_SCHEMA, RELEVANCES
from reliance.base.artifacts import Stamp, check_same, derived_stamp, read_table, write_json, write_table
from reliance.naming.table import COMPONENTS
from reliance.robustness.probes import fit_logistic

log = logging.getLogger(__name__)
MAX_ITER, TOLERANCE = 2000, 1e-6  # of the solver
SHOWN = 10  # relevant components that are named when a choice is refused


class Choice(NamedTuple):
    """How an audit chooses its component, and how its probes learn."""

    component: int | None = None  # to audit; None chooses one
    candidates: int = 5  # the first by relevance, of which one is chosen
    toward: str = "negative"  # the class that relevance is towards, "positive" | "negative"
    low: float | None = None  # activations of weak and strong samples of that class;
    high: float | None = None  # None: quantiles, see directions
    alpha: float = 0.5  # strengths of the augmentation, the main one ...
    alphas: Sequence[float] = (0.0, 0.25, 0.5, 1.0)  # ... and those of Fig. 15; 0 is the plain probe
    c: float = 1.0  # inverse penalty
    scale: float = 10.0  # of unit embeddings
    seed: int = 0  # of the augmentation
    relevance: str = "act_x_grad"  # or "ablation"


COMPUTING = Computing(block_rows=8192, threads=1)


def fit_audit(
    files: Explained,
    *,
    audit_split: Path,
    components: Path,
    probe: Path,
    choice: Path,
    tested: Path,
    increased: Path,
    given: Path | None = None,
    chosen_by: Choice | None = None,
    units: str = LATENTS,
    computing: Computing = COMPUTING,
) -> Stamp:
    """Stage: fit the plain probe, choose a component, fit robust probes.

    Parameters
    ----------
    files, audit_split, components : of split "train".
    probe : output, one plain and several robust probes. choice : output (JSON), component and direction.
    tested, increased : embeddings of the split that is tested on, as it is and under the intervention; their
        classes are not looked at.
    given : a probe from `take_probe`, which takes the place of the plain one; robust ones are fitted here.
    chosen_by : without a component, one is chosen of the first `candidates` by mean relevance towards the
        class `toward`, over the images of that class that the probe learns from: the one with the largest
        product of mean relevance and of the squared cosine between its direction and the mean shift of the
        embeddings under the intervention.

    Raises RelianceError if artifacts do not match, or if no sample is weak or none is strong.
    """
    s, learned = chosen_by or Choice(), open_learned(files, audit_split, units)
    named, known = read_table(components, COMPONENTS), learned.units.stamp
    check_same(known.kind, (components, named.stamp.inputs[known.kind]), (learned.units.path, known.id))
    with threadpool_limits(computing.threads):
        shift = shift_under(learned, tested, increased, computing.block_rows)
        plain = None if given is None else _given(given, audit_split, learned, files.index, s.scale)
        fitted = _fit_all(learned, shift, s, computing, plain)
    names = ("alpha", "c", "seed", "relevance", "toward", "component", "candidates", "low", "high")
    params = {name: getattr(s, name) for name in names}
    ids = {**learned.ids, **(plain.ids if plain else {})}
    stamp = save_probes(probe, fitted.probes, params, {**ids, "components": named.stamp.id})
    said = _said(fitted, named.frame, learned)
    said |= {"toward": s.toward, "given": s.component is not None, "alpha": float(s.alpha)}
    if plain:
        said["probe_given"] = plain.name
    log.info("component %d (%s), rank %d", *(said[name] for name in ("component", "label", "rank")))
    if min(said["n_low"], said["n_high"]) < FEWEST:
        log.warning(
            "the direction leads from %d weak to %d strong samples: so few say little",
            said["n_low"],
            said["n_high"],
        )
    return write_json(
        choice, said, derived_stamp(CHOICE_KIND, CHOICE_SCHEMA, params, {**stamp.inputs, "probe": stamp.id})
    )


def audit_relevances(
    files: Explained,
    *,
    audit_split: Path,
    probe: Path,
    relevances: Path,
    alpha: float = 0.5,
    relevance: str = "act_x_grad",
    units: str = LATENTS,
    computing: Computing = COMPUTING,
) -> Stamp:
    """Stage: mean relevance of every component for both classes, of the plain and the robust probe.

    files, audit_split : as for fit_audit. probe : what it wrote. relevances : output, RELEVANCES.
    alpha : which robust probe; 0 leaves the plain one alone. Raises RelianceError if artifacts do not match.
    """
    learned = open_learned(files, audit_split, units)
    probes, stamp = load_probes(probe)
    paths = {**files._asdict(), "audit_split": audit_split, "units": learned.units.path}
    for name in ("audit_split", "embeddings", *learned.units.ids):
        check_same(name, (probe, stamp.inputs[name]), (paths[name], learned.ids[name]))
    chosen = sorted({0, probes.row(alpha)})
    tail = open_probes(learned, probes.weight[chosen], computing)
    raw = open_raw(learned, probes.weight[:1], computing) if probes.raw else None
    frame = mean_relevances(tail, blocks(learned, computing.block_rows), probes, chosen, relevance, raw)
    params = {"alpha": alpha, "relevance": relevance, "names": list(learned.names)}
    return write_table(relevances, frame, RELEVANCES, params, {**learned.ids, "probe": stamp.id})


class _Fitted(NamedTuple):
    """What was fitted and chosen."""

    probes: Probes
    chosen: Candidate
    considered: list[Candidate]


def _given(given: Path, audit_split: Path, learned: Learned, index: Path, scale: float) -> Given:
    sides = read_split_table(audit_split, index)[1].params
    return open_given(given, sides, scale, (index, learned.ids["index"]))


def _fit_all(
    learned: Learned, shift: np.ndarray, s: Choice, computing: Computing, given: Given | None
) -> _Fitted:
    unit = unit_embeddings(learned.embedded, learned.rows, computing.block_rows)
    plain = (given.weight, given.bias) if given else _fit(unit, learned.positive, s.scale, s.c)
    alone = _probes([plain], [0.0], s.scale, np.zeros(unit.shape[1]))
    tail = open_probes(learned, alone.weight, computing)
    raw = open_raw(learned, alone.weight, computing) if given and given.raw else None
    found = mean_relevances(tail, blocks(learned, computing.block_rows), alone, [0], s.relevance, raw)
    positive = s.toward == "positive"
    ranked = found[found["positive"] == positive].sort_values("rank")
    rows = rows_to_consider(ranked, s.component, s.candidates, learned.units.m).to_dict("records")
    limits = {"low": s.low, "high": s.high}
    considered = [
        candidate(row, learned, unit, shift, positive=positive, block_rows=computing.block_rows, **limits)
        for row in rows
    ]
    with_direction = [one for one in considered if one.direction.n_low and one.direction.n_high]
    if not with_direction:
        raise no_direction(considered[0], ranked["component"].tolist()[:SHOWN])
    chosen = max(with_direction, key=lambda one: one.weight)
    p, strengths = uniform_shares(len(unit), s.seed), sorted({*map(float, s.alphas), float(s.alpha)} - {0.0})
    u = chosen.direction.vector
    robust = [_fit(augment(unit, u, a, p), learned.positive, s.scale, s.c) for a in strengths]
    probes = _probes([plain, *robust], [0.0, *strengths], s.scale, u)._replace(raw=raw is not None)
    return _Fitted(probes, chosen, considered)


def _fit(unit: np.ndarray, positive: np.ndarray, scale: float, c: float) -> tuple[np.ndarray, float]:
    """Weights [p] and bias of a logistic regression on scale x unit embeddings [n, p]."""
    fit = fit_logistic(
        unit * np.float32(scale), positive.astype(int), c=c, max_iter=MAX_ITER, tolerance=TOLERANCE
    )
    return fit.weight[1] - fit.weight[0], float(fit.bias[1] - fit.bias[0])


def _probes(
    fits: Sequence[tuple[np.ndarray, float]], alphas: Sequence[float], scale: float, u: np.ndarray
) -> Probes:
    weight = np.stack([w for w, _ in fits])
    bias = np.array([b for _, b in fits], np.float32)
    return Probes(weight, bias, np.array(alphas, np.float64), u.astype(np.float32), scale)


def _said(fitted: _Fitted, components: pd.DataFrame, learned: Learned) -> dict[str, Any]:
    """What choice.json says of the component and of the direction."""
    labels = dict(zip(components["component"].tolist(), components["label"], strict=True))
    one = fitted.chosen
    return {
        **_short(one, labels),
        "considered": [_short(other, labels) for other in fitted.considered],
        "names": list(learned.names),
        "low": one.thresholds.low,
        "high": one.thresholds.high,
        "n_low": one.direction.n_low,
        "n_high": one.direction.n_high,
        "length": float(np.linalg.norm(one.direction.vector)),
        "mean_activation": float(one.activation.mean()),
        "firing_rate": float((one.activation != 0).mean()),
        "n_fit": [int(learned.positive.sum()), int((~learned.positive).sum())],
    }


def _short(one: Candidate, labels: Mapping[int, str]) -> dict[str, Any]:
    return {
        "component": one.component,
        "label": str(labels.get(one.component, "")),
        "rank": one.rank,
        "share": one.share,
        "shift": one.shift,
    }
