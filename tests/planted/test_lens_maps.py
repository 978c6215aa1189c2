"""Maps and segmentations of a small random model on planted pictures: rows, chance, and what is left out."""

import numpy as np
import pandas as pd
import torch

from reliance.base.artifacts import Stamp
from reliance.encoders.model import Clip, Weights
from reliance.lens.schema import summary
from reliance.planted import tiny_clip
from reliance.planted.lens_maps import METHODS, Case, _scored


def test_every_map_is_scored_against_its_own_mask() -> None:
    config = tiny_clip.architecture(3)
    model = tiny_clip.build(0, 3).eval().requires_grad_(False)
    record = Weights("t", "encoder", "t", config, tiny_clip.PREPROCESS, False, True, 0, "", "")
    clip = Clip(model, torch.device("cpu"), record, Stamp("weights", 1, "i", {}, {}))
    rng = np.random.default_rng(0)
    pictures = torch.from_numpy(rng.integers(0, 256, (4, 3, 48, 48), dtype=np.uint8))
    everywhere, nowhere = np.ones((4, 48, 48), bool), np.zeros((4, 48, 48), bool)
    truth = {"object": everywhere, "word": nowhere}
    cases = [Case("latent", "object", 1, 2), Case("latent", "word", 0, 3)]
    weight = torch.randn(2, 96, generator=torch.Generator().manual_seed(0))
    found = list(_scored(clip, cases, lambda ids: pictures[ids], weight, truth))
    columns = ["of", "about", "method", "unit", "image_id", "mass", "pointing", "area"]
    frame = pd.DataFrame(found, columns=columns)
    assert len(frame) == 2 * len(METHODS) and set(frame["method"]) == set(METHODS)
    inside, outside = frame[frame["about"] == "object"], frame[frame["about"] == "word"]
    assert inside["mass"].dropna().eq(1).all() and inside["pointing"].all() and inside["area"].eq(1).all()
    assert outside["mass"].dropna().eq(0).all() and not outside["pointing"].any()
    means = summary(frame)
    assert means.loc[means["about"] == "object", "n"].tolist() == [1] * len(METHODS)
