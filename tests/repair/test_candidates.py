import numpy as np
import pytest

from attribution.toy import ToySplit
from reliance.attribution.inputs import open_inputs
from reliance.repair.candidates import SHIFTS, STRENGTHS, Known, _direction, candidates
from reliance.repair.paired import Change
from reliance.repair.proof import Case
from reliance.repair.scene import Scene
from reliance.repair.trials import Trial, halved, halves, harms, sides, tried


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return Scene(open_inputs(ToySplit(tmp_path_factory.mktemp("toy"), seed=4).files(), "train"), 1)


def case_of(scene):
    """Images of other classes that show the shortcut of class row 0."""
    shows = np.flatnonzero((np.asarray(scene.codes[:, [20]].todense()).ravel() > 0) & (scene.label != 0))
    return Case("case", 2, 0, np.array([20, 12]), shows)


def known_of(scene, learning):
    case = case_of(scene)
    learn = sides(scene, case, learning)
    others = np.sort(np.concatenate([learn.others, learn.distractors]))
    groups = [case.units[:1], case.units[1:]]
    other = scene.text[1].astype(np.float64)
    return Known(0, learn.own, others, learn.distractors, groups, {"short": other}, {"crow": other})


@pytest.fixture(scope="module")
def found(scene):
    return [*candidates(scene, known_of(scene, halves(scene.inputs.embeddings.rows, 0)[scene.ids]))]


def test_every_kind_is_tried_and_its_scores_are_those_of_its_row(scene, found):
    assert {c.repair for c in found} == {"words", "contrast", "text_edit", "unit_edit", "probe"}
    for c in found:
        if c.repair != "unit_edit":
            np.testing.assert_allclose(c.scores, scene.unit @ c.weight + c.bias, atol=1e-5)


def test_the_edited_text_has_less_of_what_the_units_add(scene, found):
    learning = halves(scene.inputs.embeddings.rows, 0)[scene.ids]
    case = case_of(scene)
    shown = case.places[learning[case.places]]
    added = np.zeros(scene.text.shape[1])
    for unit in case.units:  # a_j B_j, image by image
        active = np.asarray(scene.codes[:, [unit]].todense()).ravel()
        added += active[shown].mean() * scene.lens(np.array([unit]))[0]
    edits = [c for c in found if c.repair == "text_edit"]
    for strength, c in zip(STRENGTHS, edits, strict=True):
        expected = scene.text[0] - strength * added / np.linalg.norm(added)
        np.testing.assert_allclose(c.weight, expected, atol=1e-6)


def test_the_probe_is_fitted_as_if_many_shifted_copies_were_seen(scene, found):
    """The spread that it divides by is that of images shifted by a (p - 1/2) u, p uniform (Eq. 34)."""
    learning = halves(scene.inputs.embeddings.rows, 0)[scene.ids]
    known = known_of(scene, learning)
    g = np.random.default_rng(0)
    along = [_direction(scene, known, units) for units in known.groups]
    copies = scene.unit[known.others].astype(np.float64).repeat(4000, axis=0)
    plain = np.cov(scene.unit[known.others].astype(np.float64).T)
    for u in along:
        copies += 8.0 * (g.random(len(copies)) - 0.5)[:, None] * u
    more = np.cov(copies.T) - plain
    expected = 64 / 12 * sum(np.outer(u, u) for u in along)
    np.testing.assert_allclose(more, expected, atol=0.05 * np.abs(expected).max() + 1e-3)
    probes = [c for c in found if c.repair == "probe"]
    assert len(probes) == len(SHIFTS)
    y = scene.outputs(scene.text[0])
    for c in probes:  # beside other prompts: the same mean outputs
        for places in (known.own, known.others):
            assert c.scores[places].mean() == pytest.approx(y[places].mean(), abs=1e-4)


def test_nothing_of_the_judging_half_is_looked_at(scene):
    learning = halves(scene.inputs.embeddings.rows, 0)[scene.ids]
    case, how = case_of(scene), Trial(most_loss=1.0)
    first = [c.record for _, c in tried(scene, case, known_of(scene, learning), learning, how)]
    unit, x = scene.unit.copy(), scene.x.copy()
    try:
        scene.unit[~learning] = np.roll(scene.unit[~learning], 1, axis=1)
        scene.x[~learning] = np.roll(scene.x[~learning], 1, axis=1)
        again = [c.record for _, c in tried(scene, case, known_of(scene, learning), learning, how)]
    finally:
        scene.unit[:], scene.x[:] = unit, x
    assert first == again


def test_what_is_lost_beyond_its_interval_or_its_bound_is_harm():
    def judged(**changes):
        usual = {name: Change(0.9, 0.9, 0.01) for name in ("spurious", "valid", "class_top1", "top1")}
        return {**usual, **changes}

    assert not harms(judged(spurious=Change(0.9, 0.5, 0.01)), 0.005)  # what is to change
    assert harms(judged(valid=Change(0.9, 0.89, 0.01)), 0.005)
    assert not harms(judged(valid=Change(0.9, 0.896, 0.0001)), 0.005)  # sure, and within the bound
    assert not harms(judged(class_top1=Change(0.9, 0.89, 0.01)), 0.005)  # not sure
    assert harms(judged(class_top1=Change(0.9, 0.85, 0.01)), 0.005)
    assert harms(judged(top1=Change(0.9, 0.899, 0.0001)), 0.005)
    assert harms(judged(top1=Change(0.9, 0.89, 0.01)), 0.005)


def test_a_gap_is_halved_or_not():
    def numbers(valid, spurious):
        return {"valid": Change(*valid, 0.0), "spurious": Change(*spurious, 0.0)}

    assert halved(numbers((0.9, 0.9), (0.7, 0.8)))
    assert not halved(numbers((0.9, 0.9), (0.7, 0.79)))
    assert not halved(numbers((0.9, 0.9), (0.95, 0.99)))  # there was none
