"""From pictures to codes of patches and to relevances, against one picture at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from encoders.conftest import save_checkpoint, variant, write_pictures
from reliance.attribution.inputs import Again, Computing, Explained
from reliance.attribution.table import ATTRIBUTIONS, OUTPUTS, attribute_split
from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.codes.encode import encode_part
from reliance.codes.patches import encode_patches
from reliance.codes.store import codes_at, gather_codes, open_codes
from reliance.config.sites import PATCHES
from reliance.encoders.gather import gather_embeddings
from reliance.encoders.model import load_model
from reliance.encoders.sites import block, patches
from reliance.encoders.stored import Embeddings
from reliance.encoders.text import TEXT, embed_text
from reliance.encoders.vision import normaliser
from reliance.encoders.weights import resolve_weights
from reliance.images.decode import Images, Reading
from reliance.images.index import index_images
from reliance.images.tables import read_split
from reliance.running.job import bundled
from reliance.tails.patches import applied
from reliance.units.sae.files import Sae, load_data, load_sae, save_sae
from reliance.units.sae.pooled import pooled

M, K, P, BLOCK = 40, 3, 9, -2


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Pictures of two classes, a model of three blocks, its patches and a random SAE."""
    folder = tmp_path_factory.mktemp("made")
    write_pictures(folder / "pictures", {"train/cat": 5, "train/dog": 4, "test/cat": 2})
    (folder / "pictures/train/cat").joinpath("02.png").write_bytes(b"no picture")
    files = {name: folder / f"{name}.parquet" for name in ("index", "classes")}
    index_images(**files, root=str(folder / "pictures"), layout="folder")
    checkpoint = save_checkpoint(folder / "c.safetensors", variant(layers=3))
    files["weights"], files["text"] = folder / "weights.json", folder / "short.parquet"
    resolve_weights(weights=files["weights"], encoder="tiny", checkpoint=checkpoint)
    texts = {"texts": [files["text"]], "prompt_sets": ["short"], "device": "cpu", "threads": 1}
    embed_text(classes=files["classes"], weights=files["weights"], **texts)
    made = {**files, "root": folder / "pictures", "folder": folder}
    embed(made, folder / "x", patches, tokens_per_image=4)
    found = Embeddings(folder / "x/manifest.json")
    rng, d = np.random.default_rng(0), found.layouts["x"].shape[0]
    rows = rng.normal(size=(M, d))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    sae = Sae(rows, np.zeros(M, np.float32), rows, np.zeros(d, np.float32), K)
    site, inputs = {"site": found.site}, {"encoder": found.stamp.inputs["weights"]}
    save_sae(folder / "sae.safetensors", sae, site, inputs)
    return {**made, "embeddings": folder / "x/manifest.json", "sae": folder / "sae.safetensors"}


def embed(made: dict[str, Any], folder: Path, site: Any, **settings: Any) -> None:
    part = folder / "part-0-of-1.zarr"
    keywords = {"index": made["index"], "weights": made["weights"], "part": part, "split": "train"}
    keywords |= {"part_index": 0, "parts": 1, "dataset_root": str(made["root"]), "dtype": "float32"}
    keywords |= {"workers": 0, "device": "cpu", "batch_size": 4, "chunk_rows": 8, "block": BLOCK, **settings}
    site.embed_images(**bundled(site.embed_images, keywords))
    gather_embeddings(parts=[part], manifest=folder / "manifest.json", index=made["index"], max_invalid=2)


def encode(made: dict[str, Any], folder: Path, **settings: Any) -> Path:
    part = folder / "part-0-of-1.zarr"
    names = ("index", "weights", "embeddings", "sae")
    keywords = {**{name: made[name] for name in names}, "part": part, "split": "train", "part_index": 0}
    keywords |= {"parts": 1, "dataset_root": str(made["root"]), "block": BLOCK, "batch_size": 4}
    keywords |= {"workers": 0, "device": "cpu", "chunk_rows": 5, **settings}
    encode_patches(**bundled(encode_patches, keywords))
    gather_codes(parts=[part], manifest=folder / "manifest.json")
    return folder / "manifest.json"


def tokens(made: dict[str, Any]) -> dict[int, torch.Tensor]:
    """All patches [P, d] of every readable image, by a pass of the whole model each."""
    clip, listed = load_model(made["weights"]), read_split(made["index"], "train")
    images = Images(listed.paths.tolist(), Reading(str(made["root"])), clip.weights.preprocess)
    found: dict[int, torch.Tensor] = {}
    blocks: Any = clip.model.visual.transformer.resblocks
    for i in range(len(listed.paths)):
        if images[i].reason:
            continue
        handle = blocks[BLOCK].register_forward_hook(lambda m, a, out, i=i: found.update({i: out[0, 1:]}))
        pixels = torch.from_numpy(images[i].values[None].copy()).permute(0, 3, 1, 2)
        clip.model.encode_image(normaliser(clip.weights.preprocess)(pixels))
        handle.remove()
    return found


def test_stored_are_the_mean_and_a_draw_that_depends_on_the_image_alone(
    made: dict[str, Any], tmp_path: Path
) -> None:
    found, whole = Embeddings(made["embeddings"]), tokens(made)
    assert found.site == "block-2-patches" and found.sampled == 4
    x, samples, places = (found.read(name) for name in ("x", "samples", "places"))
    for i, patch in whole.items():
        np.testing.assert_allclose(x[i], patch.mean(0), atol=1e-5)
        np.testing.assert_allclose(samples[i], patch[places[i].astype(int)], atol=1e-5)
        assert len(set(places[i].tolist())) == 4
    bad = set(range(len(x))) - set(whole)
    assert len(bad) == 1 and not x[list(bad)].any() and not samples[list(bad)].any()
    assert len({tuple(row) for row in places.tolist()}) > 4
    data = load_data([made["embeddings"]])
    assert len(data.x) == 4 * len(whole) and data.site == "block-2-patches"
    embed(made, tmp_path, patches, tokens_per_image=4, batch_size=3, chunk_rows=4)
    np.testing.assert_array_equal(Embeddings(tmp_path / "manifest.json").read("places"), places)
    embed(made, tmp_path / "all", patches, tokens_per_image=99)
    assert Embeddings(tmp_path / "all/manifest.json").sampled == P


@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_codes_are_those_of_one_picture_at_a_time(made: dict[str, Any], tmp_path: Path, pooling: str) -> None:
    codes = open_codes(encode(made, tmp_path, pooling=pooling))
    sae = applied(load_sae(made["sae"])[0], "cpu", torch.float32)
    assert codes.located and codes.k == 4 * K and sae
    rows = np.arange(codes.rows)
    values, indices = codes_at(codes, rows)
    whole = tokens(made)
    for i, patch in whole.items():
        wanted = pooled(patch[None], sae, 4 * K, pooling)  # type: ignore[arg-type]
        np.testing.assert_allclose(values[i], wanted.values[0], rtol=2e-3)
        active = values[i] > 0
        units = indices[i][active]
        assert set(units) == set(wanted.indices[0][wanted.values[0] > 0].tolist())
        places = codes.places_of(np.full(len(units), i), units)
        by_unit = dict(zip(wanted.indices[0].tolist(), wanted.places[0].tolist(), strict=True))
        assert places.tolist() == [by_unit[unit] for unit in units.tolist()]
    (bad,) = set(rows.tolist()) - set(whole)
    assert not values[bad].any() and codes.places_of(np.array([bad]), np.array([1])).tolist() == [-1]


def test_relevances_are_those_of_the_whole_model(made: dict[str, Any], tmp_path: Path) -> None:
    codes = encode(made, tmp_path)
    given = {name: made[name] for name in ("index", "embeddings", "weights", "sae", "text")}
    files = Explained(**given, codes=codes)
    paths = {name: tmp_path / f"{name}.parquet" for name in ("attributions", "outputs")}
    again, computing = Again(PATCHES, BLOCK, str(made["root"])), Computing(4, threads=1, dtype="float64")
    attribute_split(files, **paths, split="train", computing=computing, again=again)
    rows = read_table(paths["attributions"], ATTRIBUTIONS).frame
    y = read_table(paths["outputs"], OUTPUTS).frame
    z = Embeddings(made["embeddings"]).z_of(y["image_id"].to_numpy())
    text = read_table(made["text"], TEXT).frame.set_index("class_id")["embedding"]
    t = np.stack(text.loc[y["class_id"]].to_list())
    assert len(rows) and len(y) == 8
    np.testing.assert_allclose(y["y"], (z * t).sum(1) / np.linalg.norm(z, axis=1), atol=1e-5)
    assert np.isfinite(rows[["act_x_grad", "ablation"]].to_numpy()).all()
    assert rows["ablation"].abs().max() > 1e-5


def test_codes_of_another_site_or_sae_are_refused(made: dict[str, Any], tmp_path: Path) -> None:
    embed(made, tmp_path / "class", block)
    other = {**made, "embeddings": tmp_path / "class/manifest.json"}
    with pytest.raises(RelianceError, match="block-2-patches"):
        encode(other, tmp_path)
    with pytest.raises(RelianceError, match="block-2-patches"):
        keywords = {"embeddings": other["embeddings"], "sae": made["sae"], "part": tmp_path / "p.zarr"}
        encode_part(**keywords, part_index=0, parts=1, device="cpu", threads=1)
