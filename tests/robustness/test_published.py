"""Published accuracies, and weights that fall far below their own."""

import pytest

from reliance.encoders.registry import pretrained_config
from reliance.robustness.published import PUBLISHED, best_of, far_below, published


def record(*shares):
    return {"prompt_sets": {str(i): {"top1": list(share)} for i, share in enumerate(shares)}}


@pytest.mark.parametrize(("architecture", "tag"), PUBLISHED)
def test_every_row_is_of_weights_that_open_clip_has(architecture, tag):
    quick = "-quickgelu" if tag == "openai" and not architecture.endswith("-quickgelu") else ""
    assert pretrained_config(architecture + quick, tag)
    assert 0 < PUBLISHED[architecture, tag] < 1


def test_names_with_and_without_quickgelu_are_the_same_weights():
    assert published("ViT-L-14-336-quickgelu", "openai", "imagenet") == 0.7656
    assert published("ViT-B-32", "laion2b-s34b-b79k", "imagenet") == 0.6656


@pytest.mark.parametrize("layout", ["folder", "planted", ""])
def test_other_images_have_no_published_accuracy(layout):
    assert published("ViT-B-32", "laion2b_s34b_b79k", layout) is None


@pytest.mark.parametrize(
    ("share", "error", "below"),
    [(0.66, 0.002, False), (0.64, 0.002, False), (0.62, 0.002, True), (0.6, 0.03, False), (0.001, 0.0, True)],
)
def test_far_below_is_three_points_or_three_errors(share, error, below):
    assert far_below(record((share - 0.2, error), (share, error)), 0.6656) is below


def test_nothing_to_hold_against():
    assert not far_below(record((0.1, 0.01)), None)
    assert best_of(record((None, None))) is None
    assert not far_below(record((None, None)), 0.5)
