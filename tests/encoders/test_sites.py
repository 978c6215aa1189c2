"""Sites: what is stored at them, and that adding one is a module and a row."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.base.rows import Parts
from reliance.config import sites
from reliance.encoders.head import load_head, project
from reliance.encoders.model import load_model
from reliance.encoders.sites import block, class_token, embedding
from reliance.encoders.sites.site import Site, image_embeddings
from reliance.encoders.stored import check_site
from reliance.images.tables import read_split

from .test_vision import BROKEN, embed, reference

MADE_UP = """
from contextlib import contextmanager
from functools import partial

from reliance.encoders.sites.site import Site, export_head_at
from reliance.encoders.vision import embed_images_at


@contextmanager
def first_block(clip, into):
    block = clip.model.visual.transformer.resblocks[0]
    handle = block.register_forward_hook(lambda module, inputs, out: into.append(out[:, 0]))
    try:
        yield
    finally:
        handle.remove()


SITE = Site("first_block", "x", lambda clip: clip.weights.config["vision_cfg"]["width"], first_block, None)
embed_images = partial(embed_images_at, site=SITE)
export_head = partial(export_head_at, site=SITE)
"""


@pytest.mark.parametrize("name", sites.SITES)
def test_every_row_of_the_table_is_a_module_with_its_site(name: str) -> None:
    place = sites.SITES[name]
    module = import_module(place.module)
    site = module.site_at(2) if place.pattern else module.SITE
    assert isinstance(site, Site) and sites.kind_of(site.name) == name
    assert callable(module.embed_images) and hasattr(module, "export_head") == (place.tail == sites.HEAD)
    assert sites.SITES[name].entry("embed_images") == f"{module.__name__}:embed_images"


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_z_is_what_the_head_makes_of_the_stored_x(pictures, weights, tmp_path, dtype) -> None:
    found = embed(tmp_path, pictures, weights, dtype=dtype, chunk_rows=4)
    class_token.export_head(weights=weights, head=tmp_path / "head.safetensors")
    head, stamp = load_head(tmp_path / "head.safetensors")
    x, z, valid = found.read("x"), found.read("embedding"), found.read("valid")
    assert (x.dtype, z.dtype) == (dtype, np.float32)
    np.testing.assert_array_equal(z[valid], project(x, head)[valid])
    assert not z[BROKEN].any() and project(x, head)[BROKEN].any()
    _, rows = reference(pictures, weights)
    np.testing.assert_allclose(z[[*rows]], list(rows.values()), atol=2e-5 if dtype == "float32" else 5e-3)
    check_site(tmp_path / "head.safetensors", stamp.params["site"], found)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64])
def test_rows_of_z_do_not_depend_on_how_many_are_projected(step: int) -> None:
    rng = np.random.default_rng(0)
    head = class_token.Head(*(rng.normal(size=s).astype(np.float32) for s in (96, 96, (96, 64))), 1e-5)
    x, valid = rng.normal(size=(130, 96)).astype(np.float16), rng.random(130) > 0.1
    whole = image_embeddings(x, head, valid)
    blocks = [image_embeddings(x[i : i + step], head, valid[i : i + step]) for i in range(0, 130, step)]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_at_site_embedding_x_is_z_and_stored_once(pictures, weights, tmp_path) -> None:
    found = embed(tmp_path, pictures, weights, site=embedding, dtype="float16")
    assert set(Parts(tmp_path / "manifest.json", "embeddings").layouts) == {"embedding", "valid"}
    rows = np.array([5, 2, 2])
    np.testing.assert_array_equal(found.read("x"), found.read("embedding"))
    np.testing.assert_array_equal(found.take("x", rows), found.read("embedding")[rows])
    assert found.read("x").dtype == np.float16 and found.z(2, 6).dtype == np.float32
    np.testing.assert_array_equal(found.z_of(rows), found.z()[rows])
    assert found.width == 12


def test_an_artifact_of_another_site_is_refused_by_name(pictures, weights, tmp_path) -> None:
    tokens = embed(tmp_path / "a", pictures, weights)
    outputs = embed(tmp_path / "b", pictures, weights, site=embedding)
    check_site("here", "embedding", outputs)
    with pytest.raises(RelianceError, match=r"site 'embedding', but 'class_token' there"):
        check_site("here", outputs.site, tokens)


def test_a_made_up_site_is_a_module_and_a_row(pictures, weights, tmp_path, monkeypatch) -> None:
    """One without a head: z is then the model's own output."""
    (tmp_path / "made_up_site.py").write_text(MADE_UP)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sites.SITES, "first_block", sites.Place("made_up_site", "after the first block"))
    module = import_module(sites.SITES["first_block"].module)
    monkeypatch.setitem(sys.modules, "made_up_site", module)
    found = embed(tmp_path / "out", pictures, weights, site=module)
    _, rows = reference(pictures, weights)
    assert (found.site, found.layouts["x"].shape, found.width) == ("first_block", (32,), 12)
    np.testing.assert_allclose(found.z_of(np.array([*rows])), list(rows.values()), atol=2e-5)
    tokens = embed(tmp_path / "tokens", pictures, weights)
    assert np.abs(found.read("x") - tokens.read("x")).max() > 0.1
    with pytest.raises(RelianceError, match=r"whole blocks of the encoder follow"):
        module.export_head(weights=weights, head=tmp_path / "head.safetensors")
    assert not Path(tmp_path / "head.safetensors").exists()


@pytest.mark.parametrize("number", [0, -2])
def test_the_class_token_behind_a_block(pictures, weights, tmp_path, number) -> None:
    """As open_clip itself gives it; z is the model's own."""
    found = embed(tmp_path, pictures, weights, site=block, block=number)
    assert found.site == f"block{number}" and found.layouts["x"].shape == (32,)
    root, index = pictures
    clip = load_model(weights)
    transform = image_transform_v2(PreprocessCfg(**clip.weights.preprocess), is_train=False)
    path = read_split(index, "train").paths[2]
    pixels = transform(Image.open(root / path).convert("RGB"))[None]
    out = clip.model.visual.forward_intermediates(pixels, indices=[0], output_extra_tokens=True)
    np.testing.assert_allclose(found.read("x")[2], out["image_intermediates_prefix"][0][0, 0], atol=1e-5)
    _, rows = reference(pictures, weights)
    np.testing.assert_allclose(found.z_of(np.array([*rows])), list(rows.values()), atol=2e-5)


@pytest.mark.parametrize("number", [1, -1, 7])
def test_a_block_that_is_not_there_is_told(pictures, weights, tmp_path, number) -> None:
    with pytest.raises(RelianceError, match=r"2 blocks(.|\n)*block 0 to 0, or -2 to -2"):
        embed(tmp_path, pictures, weights, site=block, block=number)
