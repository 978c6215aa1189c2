"""From pictures to relevances at each site, against autograd and real ablation in the whole model."""

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
from reliance.codes.store import gather_codes
from reliance.config.sites import NETWORK
from reliance.encoders.gather import gather_embeddings
from reliance.encoders.model import load_model
from reliance.encoders.sites import block, embedding
from reliance.encoders.stored import Embeddings
from reliance.encoders.text import TEXT, embed_text
from reliance.encoders.vision import normaliser
from reliance.encoders.weights import resolve_weights
from reliance.images.decode import Images, Reading
from reliance.images.index import index_images
from reliance.images.tables import read_split
from reliance.running.job import bundled
from reliance.units.sae.files import Sae, load_sae, save_sae

M, K = 40, 6
COMPUTING = Computing(block_rows=4, threads=1, dtype="float64")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures of two classes, their prompts, and a model of three blocks."""
    folder = tmp_path_factory.mktemp("made")
    write_pictures(folder / "pictures", {"train/cat": 5, "train/dog": 4, "test/cat": 2})
    files = {name: folder / f"{name}.parquet" for name in ("index", "classes")}
    index_images(**files, root=str(folder / "pictures"), layout="folder")
    checkpoint = save_checkpoint(folder / "c.safetensors", variant(layers=3))
    files["weights"] = folder / "weights.json"
    resolve_weights(weights=files["weights"], encoder="tiny", checkpoint=checkpoint)
    files["text"] = folder / "short.parquet"
    texts = {"texts": [files["text"]], "prompt_sets": ["short"], "device": "cpu", "threads": 1}
    embed_text(classes=files["classes"], weights=files["weights"], **texts)
    return {**files, "root": folder / "pictures"}


def explained(folder: Path, made: dict[str, Path], site: Any, **place: int) -> Explained:
    """Embeddings, a random SAE and codes at a site; a head where there is one."""
    part, manifest = folder / "part.zarr", folder / "manifest.json"
    keywords = {"index": made["index"], "weights": made["weights"], "part": part, "split": "train"}
    keywords |= {"part_index": 0, "parts": 1, "dataset_root": str(made["root"]), "dtype": "float32"}
    keywords |= {"workers": 0, "device": "cpu", "batch_size": 4, "chunk_rows": 8, **place}
    site.embed_images(**bundled(site.embed_images, keywords))
    gather_embeddings(parts=[part], manifest=manifest)
    found = Embeddings(manifest)
    rng, d = np.random.default_rng(0), found.layouts["x"].shape[0]
    decoder = rng.normal(size=(M, d))
    decoder = (decoder / np.linalg.norm(decoder, axis=1, keepdims=True)).astype(np.float32)
    sae = Sae(decoder, np.zeros(M, np.float32), decoder, np.zeros(d, np.float32), K)
    save_sae(
        folder / "sae.safetensors", sae, {"site": found.site}, {"encoder": found.stamp.inputs["weights"]}
    )
    codes = folder / "codes" / "part.zarr"
    sources = {"embeddings": manifest, "sae": folder / "sae.safetensors", "part": codes}
    encode_part(**sources, part_index=0, parts=1, device="cpu", threads=1)
    gather_codes(parts=[codes], manifest=folder / "codes" / "manifest.json")
    files = Explained(
        made["index"], manifest, codes=folder / "codes" / "manifest.json", sae=folder / "sae.safetensors"
    )
    if not place:
        site.export_head(weights=made["weights"], head=folder / "head.safetensors")
        return files._replace(head=folder / "head.safetensors", text=made["text"])
    return files._replace(weights=made["weights"], text=made["text"])


@pytest.mark.parametrize("number", [None, -2, 0])
def test_relevances_are_those_of_the_whole_model(
    made: dict[str, Path], tmp_path: Path, number: int | None
) -> None:
    """For the class of each image; in float64, from the x that is stored."""
    site, place = (embedding, {}) if number is None else (block, {"block": number})
    files = explained(tmp_path, made, site, **place)
    again = None if number is None else Again(NETWORK, number, str(made["root"]))
    paths = {name: tmp_path / f"{name}.parquet" for name in ("attributions", "outputs")}
    attribute_split(files, **paths, split="train", computing=COMPUTING, again=again)
    rows, stamp = read_table(paths["attributions"], ATTRIBUTIONS)
    y = read_table(paths["outputs"], OUTPUTS).frame["y"].to_numpy()
    assert ("head" in stamp.inputs) == (number is None) and "weights" in stamp.inputs
    clip, x = load_model(made["weights"]), torch.as_tensor(Embeddings(files.embeddings).read("x")).double()
    model = clip.model.double()
    listed = read_split(made["index"], "train")
    images = Images(listed.paths.tolist(), Reading(str(made["root"])), clip.weights.preprocess)
    pixels = torch.from_numpy(np.stack([images[i].values for i in range(len(x))])).permute(0, 3, 1, 2)
    pixels = normaliser(clip.weights.preprocess)(pixels).double()
    text = read_table(made["text"], TEXT).frame.sort_values("class_id")["embedding"].to_list()
    t = torch.as_tensor(np.stack(text)).double()[torch.tensor(listed.class_ids).long()]

    def output(x: torch.Tensor) -> torch.Tensor:
        def change(_module: object, _arguments: object, tokens: torch.Tensor) -> torch.Tensor:
            return torch.cat([x[:, None], tokens[:, 1:]], 1)

        if number is None:
            return torch.cosine_similarity(x, t)
        handle = model.visual.transformer.resblocks[number].register_forward_hook(change)
        z = model.encode_image(pixels)
        handle.remove()
        return torch.cosine_similarity(z, t)

    np.testing.assert_allclose(y, output(x).numpy(), atol=1e-6)
    leaf = x.clone().requires_grad_(True)
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(output(leaf).sum(), leaf)
    v = torch.as_tensor(load_sae(files.sae)[0].decoder_weight).double()
    assert len(rows) > len(x)
    for row in rows.itertuples():
        change = row.activation * v[row.component]
        expected = float(change @ slope[row.image_id])
        assert row.act_x_grad == pytest.approx(expected, rel=1e-5, abs=1e-7)
        moved = x.clone()
        moved[row.image_id] -= change
        without = float((output(x) - output(moved))[row.image_id])
        assert row.ablation == pytest.approx(without, rel=1e-5, abs=1e-7)


def test_an_image_that_is_gone_is_told(made: dict[str, Path], tmp_path: Path) -> None:
    files = explained(tmp_path, made, block, block=0)
    paths = {name: tmp_path / f"{name}.parquet" for name in ("attributions", "outputs")}
    with pytest.raises(RelianceError):
        attribute_split(
            files, **paths, split="train", computing=COMPUTING, again=Again(NETWORK, 0, str(tmp_path))
        )
    assert not any(path.exists() for path in paths.values())


def test_another_block_than_the_stored_one_is_refused(made: dict[str, Path], tmp_path: Path) -> None:
    files = explained(tmp_path, made, block, block=0)
    paths = {name: tmp_path / f"{name}.parquet" for name in ("attributions", "outputs")}
    with pytest.raises(RelianceError, match=r"site 'block1', but 'block0'"):
        attribute_split(files, **paths, split="train", again=Again(NETWORK, 1, str(made["root"])))
