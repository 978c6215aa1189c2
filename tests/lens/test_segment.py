"""Segmentation by neurons: scores against slow referees, and a planted neuron finds its thing (T7)."""

import numpy as np
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve

from reliance.lens.schema import RECALLS
from reliance.lens.segment import (
    precisions,
    published_heat,
    random_heat,
    scaled,
    segmented,
    signed_heat,
)

RNG = np.random.default_rng(0)


def test_scores_are_those_of_the_definition() -> None:
    heat, mask = RNG.normal(size=(3, 6, 6)), RNG.random((3, 6, 6)) < 0.4
    mask[2] = False
    found = segmented(heat, mask)
    for i in range(2):
        inside = scaled(heat)[i] > 0.5
        ious = [(a & b).sum() / (a | b).sum() for a, b in ((inside, mask[i]), (~inside, ~mask[i]))]
        assert np.isclose(found.iou[i], np.mean(ious))
        assert np.isclose(found.accuracy[i], (inside == mask[i]).mean())
        assert np.isclose(found.precision[i], average_precision_score(mask[i].ravel(), heat[i].ravel()))
        assert np.isclose(found.area[i], mask[i].mean())
    assert all(np.isnan(part[2]).all() for part in found)
    assert scaled(np.zeros((1, 2, 2))).tolist() == [[[0, 0], [0, 0]]]


def test_ties_count_as_one_step() -> None:
    heat, mask = np.array([1.0, 1, 0, 0]), np.array([True, False, True, False])
    average, curve = precisions(heat, mask)
    assert np.isclose(average, average_precision_score(mask, heat))
    assert curve.tolist() == [0.5] * len(RECALLS)


def test_curves_are_those_of_sklearn() -> None:
    """With ties, with a mask of one pixel, and with masks whose recalls fall on the levels themselves."""
    cases = [(RNG.integers(0, 5, 400) / 4, RNG.random(400) < 0.3), (RNG.normal(size=50), np.arange(50) == 7)]
    cases += [(RNG.normal(size=200), np.arange(200) < 20), (RNG.normal(size=300), np.arange(300) < 100)]
    for heat, mask in cases:
        precision, recall, _ = precision_recall_curve(mask, heat)
        for level, found in zip(RECALLS, precisions(heat, mask)[1], strict=True):
            last = np.flatnonzero(recall >= level / 100 - 1e-12)[-1]  # recall falls as the threshold rises
            assert np.isclose(found, precision[last]), (level, found)
    assert np.isnan(precisions(RNG.normal(size=4), np.zeros(4, bool))[1]).all()


def test_the_last_level_is_the_share_of_the_mask_where_its_last_pixel_is_the_coldest() -> None:
    heat, mask = np.arange(8.0).reshape(1, 2, 4), np.zeros((1, 2, 4), bool)
    mask[0, 0, :2] = True
    found = segmented(heat, mask)
    assert found.curve[0, -1] == found.area[0] == 0.25


def test_signs_matter_where_a_neuron_speaks_against_the_class() -> None:
    """One neuron sees the thing, another with an opposite weight sees all around it."""
    p, mask = torch.zeros(1, 10, 6), np.zeros((1, 3, 3), bool)
    mask[0, 1, 1] = True
    p[0, 5, 0] = 1.0
    p[0, 1:, 1] = 1.0 - p[0, 1:, 0]
    weight = torch.tensor([[1.0, -1.2, 0.01, 0, 0, 0]])
    signed = signed_heat(p, weight, torch.zeros(10, 6)).view(1, 3, 3).numpy()
    unsigned = published_heat(p, weight, 2).view(1, 3, 3).numpy()
    drawn = random_heat(p, 2, torch.Generator().manual_seed(0)).view(1, 3, 3).numpy()
    assert segmented(signed, mask).iou[0] == 1.0
    assert segmented(unsigned, mask).iou[0] < 0.6 and segmented(drawn, mask).iou[0] < 1.0
