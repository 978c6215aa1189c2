"""Maps over an image: they are of what is asked for, and answers show them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lens.made import PIXELS, D, P, made_clip
from reliance.base.errors import RelianceError
from reliance.explore.answers import with_places
from reliance.explore.attribute import Seen
from reliance.explore.sheets import WHERE, Sheet
from reliance.explore.thumbs import thumbnails
from reliance.explore.where import SIDE, of_prompts, of_units, overlay
from reliance.lens.unit_maps import FIRES, READ
from reliance.units.sae.files import Sae

RNG = np.random.default_rng(0)
SEEN = Seen(np.zeros(D), np.zeros(0, np.int64), np.zeros(0))
TEXT = RNG.normal(size=(2, P)).astype(np.float32)
TEXT /= np.linalg.norm(TEXT, axis=1, keepdims=True)


def models(site: str = "class_token") -> Any:
    return SimpleNamespace(encoder=made_clip(), site=site, pixels=lambda seen: PIXELS[:1])


def shelf(norm: object = None) -> Any:
    weight, bias, e = (RNG.normal(size=size).astype(np.float32) for size in ((7, D), D, 7))
    sae = Sae(weight, e, weight, bias, 2, input_norm=norm)  # type: ignore[arg-type]
    return SimpleNamespace(variant="v", sae=sae)


def test_maps_are_of_y_and_of_units_before_their_activation() -> None:
    from reliance.encoders.vision import normaliser
    from reliance.lens.maps import wanted
    from reliance.lens.record import recording

    own, study = models(), shelf()
    with recording(own.encoder, wanted(own.encoder)) as recorder:
        found = recorder.run_images(normaliser(own.encoder.weights.preprocess)(PIXELS[:1]))
    prompts = of_prompts(own, SEEN, ["a", "b"], TEXT)
    y = torch.nn.functional.normalize(found.z, dim=1).numpy()[0] @ TEXT.T
    assert [place.total for place in prompts] == pytest.approx(y.tolist(), abs=1e-5)
    (unit,) = of_units(study, own, SEEN, [4])
    expected = (found.x.numpy()[0] - study.sae.bias) @ study.sae.encoder_weight[4] + study.sae.encoder_bias[4]
    assert unit.total == pytest.approx(float(expected), rel=1e-3)
    assert unit.patches.shape == (3, 3) and unit.picture.size == (SIDE, SIDE)


@pytest.mark.parametrize(("site", "norm"), [("embedding", None), ("class_token", "mean")])
def test_units_elsewhere_have_no_map(site: str, norm: object) -> None:
    with pytest.raises(RelianceError, match="linear in a class token"):
        of_units(shelf(norm), models(site), SEEN, [0])


@pytest.mark.parametrize(("site", "meaning"), [("block-2", READ), ("block-2-patches", FIRES)])
def test_a_map_says_what_it_is_of(site: str, meaning: str) -> None:
    places = of_units(shelf(), models(site), SEEN, [2, 0])
    assert [(place.caption, place.meaning) for place in places] == [("unit 2", meaning), ("unit 0", meaning)]
    prompts = of_prompts(models(), SEEN, ["a"], TEXT[:1])
    assert with_places(Sheet("t", [], [], []), [*prompts, *places]).blocks[0].lead == list(
        dict.fromkeys([READ, meaning])
    )


@pytest.mark.parametrize("site", ["class_token", "block-2", "block-2-patches"])
def test_an_image_passes_once_for_all_units_and_once_for_all_prompts(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, passes = models(site), []
    encode = own.encoder.model.encode_image
    monkeypatch.setattr(own.encoder.model, "encode_image", lambda *a: passes.append(1) or encode(*a))
    of_units(shelf(), own, SEEN, [2, 0, 5])
    assert len(passes) == 1
    of_prompts(own, SEEN, ["a", "b"], TEXT)
    assert len(passes) == 2


def test_colours_say_what_adds_and_what_takes_away() -> None:
    values = np.zeros((4, 4), np.float32)
    values[0, 0], values[3, 3] = 2.0, -2.0
    drawn = np.asarray(overlay(np.full((4, 4, 3), 100, np.uint8), values))
    red, _, blue = drawn[0, 0].astype(int)
    assert red > blue + 50
    red, _, blue = drawn[-1, -1].astype(int)
    assert blue > red + 50


def test_an_answer_has_a_block_of_them() -> None:
    places = of_prompts(models(), SEEN, ["a", "b"], TEXT)
    sheet = with_places(Sheet("t", [], [], []), places)
    assert [key for key, _ in sheet.blocks[0].pictures] == [(WHERE, 0), (WHERE, 1)]
    images = thumbnails(SimpleNamespace(root=None), [(WHERE, 1)], 48, None, sheet.places)  # type: ignore[arg-type]
    assert isinstance(images[WHERE, 1], Image.Image)
    assert with_places(Sheet("t", [], [], []), []).blocks == []
