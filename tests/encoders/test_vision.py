"""Embeddings against open_clip's own forward pass on open_clip's own transform."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.config.sites import SITES
from reliance.encoders import vision
from reliance.encoders.gather import gather_embeddings
from reliance.encoders.head import Head, load_head, project
from reliance.encoders.model import load_model
from reliance.encoders.sites import class_token, embedding
from reliance.encoders.sites.class_token import SITE, class_tokens
from reliance.encoders.stored import Embeddings
from reliance.encoders.vision import chunked_batches, forward, normaliser
from reliance.encoders.weights import resolve_weights
from reliance.images.decode import Reading
from reliance.images.index import index_images
from reliance.images.tables import read_split
from reliance.running.fingerprint import reachable_modules
from reliance.running.job import bundled

from .conftest import CONFIG, save_checkpoint, variant

BROKEN = 7  # image_id of train/b/01.png


def embed(out, pictures, weights, *, site=class_token, split="train", parts=1, max_invalid=2, **settings):
    """All parts of a split, read at a site, and their manifest."""
    root, index = pictures
    folders = [out / f"part-{i}-of-{parts}.zarr" for i in range(parts)]
    fixed = {"index": index, "weights": weights, "split": split, "dataset_root": str(root), "parts": parts}
    for i, folder in enumerate(folders):
        options = {"dtype": "float32", "workers": 0, "device": "cpu", "batch_size": 4, "chunk_rows": 5}
        keywords = {**fixed, "part": folder, "part_index": i, **options, **settings}
        site.embed_images(**bundled(site.embed_images, keywords))
    gather_embeddings(parts=folders, manifest=out / "manifest.json", max_invalid=max_invalid, index=index)
    return Embeddings(out / "manifest.json")


def reference(pictures, weights, split="train"):
    """(paths, encode_image of every readable picture, one at a time)."""
    root, index = pictures
    clip = load_model(weights)
    transform = image_transform_v2(PreprocessCfg(**clip.weights.preprocess), is_train=False)
    paths = read_split(index, split).paths
    rows = {
        i: clip.model.encode_image(transform(Image.open(Path(root, path)).convert("RGB"))[None])[0].numpy()
        for i, path in enumerate(paths)
        if not (split == "train" and i == BROKEN)
    }
    return paths, rows


def cosine_distance(a, b):
    return 1 - (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        {**CONFIG, "quick_gelu": True},
        {**CONFIG, "custom_text": True},
        variant(final_ln_after_pool=True),
        variant(norm_kwargs={"eps": 1e-2}),
    ],
    ids=["plain", "quickgelu", "custom_text", "pooled_before_ln", "eps"],
)
def test_the_head_of_stored_x_is_encode_image(pictures, tmp_path, config):
    save_checkpoint(tmp_path / "c.safetensors", config)
    weights = tmp_path / "weights.json"
    resolve_weights(weights=weights, encoder="e", checkpoint=tmp_path / "c.safetensors")
    class_token.export_head(weights=weights, head=tmp_path / "head.safetensors")
    head, _ = load_head(tmp_path / "head.safetensors")
    found = embed(tmp_path / "out", pictures, weights)
    z = project(found.read("x"), head)
    _, rows = reference(pictures, weights)
    for i, row in rows.items():
        np.testing.assert_allclose(z[i], row, atol=2e-5)
        assert cosine_distance(z[i], row) < 1e-5
    assert found.layouts["x"] == ((32,), "<f4")


def test_an_unreadable_image_is_a_zero_row_with_a_reason(pictures, weights, tmp_path):
    found = embed(tmp_path, pictures, weights)
    valid = found.read("valid")
    assert valid.tolist() == [i != BROKEN for i in range(11)]
    assert not found.read("x")[BROKEN].any() and found.read("x")[valid].any(axis=1).all()
    assert [row for row, _ in found.excluded] == [BROKEN] and found.excluded[0][1]
    assert found.stamp.inputs.keys() == {"index", "weights"}


def test_a_labeller_stores_its_image_embedding(pictures, weights, tmp_path):
    found = embed(tmp_path, pictures, weights, site=embedding)
    _, rows = reference(pictures, weights)
    assert set(found.layouts) == {"embedding", "x", "valid"} and found.layouts["embedding"].shape == (12,)
    assert {p.name for p in (tmp_path / "part-0-of-1.zarr").iterdir() if p.is_dir()} == {"embedding", "valid"}
    assert found.site == "embedding" and found.stamp.params["site"] == "embedding"
    for i, row in rows.items():
        np.testing.assert_allclose(found.read("embedding")[i], row, atol=2e-5)


def test_float16_is_the_rounded_float32(pictures, weights, tmp_path):
    wide = embed(tmp_path / "a", pictures, weights).read("x")
    narrow = embed(tmp_path / "b", pictures, weights, dtype="float16").read("x")
    assert narrow.dtype == np.float16
    np.testing.assert_array_equal(narrow, wide.astype(np.float16))


def test_workers_and_parts_do_not_change_a_bit(pictures, weights, tmp_path):
    whole = embed(tmp_path / "a", pictures, weights, batch_size=1)
    divided = embed(tmp_path / "b", pictures, weights, batch_size=1, parts=3)
    with_worker = embed(tmp_path / "c", pictures, weights, batch_size=1, workers=1)
    for other in (divided, with_worker):
        np.testing.assert_array_equal(other.read("x"), whole.read("x"))
        np.testing.assert_array_equal(other.read("valid"), whole.read("valid"))
        assert other.excluded == whole.excluded
    assert with_worker.stamp.id == whole.stamp.id


def test_more_parts_than_images(pictures, weights, tmp_path):
    found = embed(tmp_path / "a", pictures, weights, split="test", parts=5)
    whole = embed(tmp_path / "b", pictures, weights, split="test")
    assert found.rows == 3
    np.testing.assert_allclose(found.read("x"), whole.read("x"), atol=1e-5)


def killed_in_batch(number, monkeypatch):
    """The stage dies in its n-th batch. Returns the sizes of all batches, filled as they come."""
    collate, calls = vision.collate, []

    def dies(items):
        calls.append(len(items))
        if len(calls) == number:
            raise KeyboardInterrupt
        return collate(items)

    monkeypatch.setattr(vision, "collate", dies)
    return calls


def test_a_killed_job_goes_on_and_ends_with_the_same_content(pictures, weights, tmp_path, monkeypatch):
    whole = embed(tmp_path / "a", pictures, weights)
    calls = killed_in_batch(4, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        embed(tmp_path / "b", pictures, weights)
    assert calls == [4, 1, 4, 1]  # batches of 4 never cross chunks of 5
    again = embed(tmp_path / "b", pictures, weights)
    assert calls[4:] == [4, 1, 1]  # the first chunk was kept
    assert again.stamp.id == whole.stamp.id and again.excluded == whole.excluded
    assert not list((tmp_path / "b").glob(".*"))


def test_values_the_store_cannot_hold(pictures, tmp_path):
    save_checkpoint(tmp_path / "c.safetensors")
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(tmp_path / "c.safetensors", framework="pt") as file:
        metadata = file.metadata()
    state = load_file(tmp_path / "c.safetensors")
    state["visual.transformer.resblocks.1.mlp.c_proj.bias"] += 1e5
    save_file(state, tmp_path / "big.safetensors", metadata)
    weights = tmp_path / "weights.json"
    resolve_weights(weights=weights, encoder="e", checkpoint=tmp_path / "big.safetensors")
    with pytest.raises(RelianceError, match=r"embedding.dtype(.|\n)*as float16"):
        embed(tmp_path / "out", pictures, weights, dtype="float16")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_is_near(pictures, weights, tmp_path, precision):
    wide = embed(tmp_path / "a", pictures, weights)
    low = embed(tmp_path / "b", pictures, weights, precision=precision)
    keep = wide.read("valid")
    distance = cosine_distance(low.read("x")[keep], wide.read("x")[keep])
    assert 0 < distance.max() < 1e-3
    assert low.stamp.params["precision"] == precision


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_went_away_ends_the_job_with_its_own_message(pictures, weights, tmp_path, workers):
    """A worker's error too; a file that is restored is embedded by the same command."""
    root, index = pictures
    copy = shutil.copytree(root, tmp_path / "copy")
    gone = copy / "train" / "a" / "03.png"
    kept = gone.rename(tmp_path / "kept.png")
    with pytest.raises(
        RelianceError, match=r"\A\S*train/a/03\.png: (.|\n)*found:   FileNotFoundError: No such"
    ):
        embed(tmp_path / "out", (copy, index), weights, workers=workers)
    assert not (tmp_path / "out" / "manifest.json").exists()
    kept.rename(gone)
    found = embed(tmp_path / "out", (copy, index), weights, workers=workers)
    assert [row for row, _ in found.excluded] == [BROKEN]


def test_a_transform_is_of_the_image_and_part_of_the_identity(pictures, weights, tmp_path):
    """Embedded through the transform, or from files that were changed before: the same numbers."""
    root, index = pictures
    plain = embed(tmp_path / "plain", pictures, weights)
    null = embed(tmp_path / "null", pictures, weights, transform={"channel": "red", "delta": 0.0})
    more = embed(tmp_path / "more", pictures, weights, transform={"channel": "red", "delta": -1.0})
    less = embed(tmp_path / "less", pictures, weights, transform={"channel": "red", "delta": 0.2})
    np.testing.assert_array_equal(null.read("x"), plain.read("x"))
    assert more.layouts == plain.layouts
    assert more.rows == plain.rows
    assert more.excluded == plain.excluded
    assert len({parts.stamp.id for parts in (plain, more, less)}) == 3
    assert null.stamp.params["transform"] == {"channel": "red", "delta": 0.0}
    assert "transform" not in plain.stamp.params
    changed = shutil.copytree(root, tmp_path / "changed")
    for row, path in enumerate(read_split(index, "train").paths):
        if row != BROKEN:
            pixels = np.asarray(Image.open(changed / path)).copy()
            pixels[..., 0] = np.minimum(pixels[..., 0].astype(int) * 2, 255)
            Image.fromarray(pixels).save(changed / path)
    listed = tmp_path / "index.parquet"
    index_images(index=listed, classes=tmp_path / "classes.parquet", root=str(changed), layout="folder")
    expected = embed(tmp_path / "expected", (changed, listed), weights)
    np.testing.assert_array_equal(more.read("x"), expected.read("x"))
    assert np.abs(more.read("x") - plain.read("x")).max() > 1e-3


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory):
    """(root, index) of seven JPEGs of 144 x 110 and more, and one too small to be decoded smaller."""
    root, out, rng = (
        tmp_path_factory.mktemp("jpegs"),
        tmp_path_factory.mktemp("index"),
        np.random.default_rng(0),
    )
    for i in range(8):
        coarse = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
        path = root / ("train" if i else "test") / "a" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (144 + 20 * i, 110 + 30 * i) if i < 7 else (60, 60)
        coarse.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    index_images(
        index=out / "index.parquet", classes=out / "classes.parquet", root=str(root), layout="folder"
    )
    return root, out / "index.parquet"


def test_reduced_decoding_is_near_and_part_of_the_identity(jpegs, weights, tmp_path):
    plain = embed(tmp_path / "plain", jpegs, weights)
    exact = embed(tmp_path / "exact", jpegs, weights, jpeg_decoding="exact")
    reduced = embed(tmp_path / "reduced", jpegs, weights, jpeg_decoding="reduced")
    assert exact.stamp == plain.stamp
    assert "jpeg_decoding" not in plain.stamp.params
    assert reduced.stamp.params == {**plain.stamp.params, "jpeg_decoding": "reduced"}
    assert reduced.stamp.id != plain.stamp.id
    distance = cosine_distance(plain.read("x"), reduced.read("x"))
    assert (distance[:6] > 1e-9).all() and distance.max() < 1e-3
    np.testing.assert_allclose(plain.read("x")[6], reduced.read("x")[6], atol=1e-5)  # 60 < 4 x 24


def test_reduced_decoding_in_parts_and_by_a_worker(jpegs, weights, tmp_path):
    settings = {"batch_size": 1, "jpeg_decoding": "reduced", "transform": {"channel": "red", "delta": -1.0}}
    whole = embed(tmp_path / "a", jpegs, weights, **settings)
    divided = embed(tmp_path / "b", jpegs, weights, **settings, parts=2, workers=1)
    np.testing.assert_array_equal(whole.read("x"), divided.read("x"))
    assert whole.stamp.params == divided.stamp.params
    assert whole.stamp.params["transform"] == settings["transform"]


def test_unfinished_work_of_the_other_decoding_is_thrown_away(jpegs, weights, tmp_path, monkeypatch):
    calls = killed_in_batch(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        embed(tmp_path / "a", jpegs, weights, jpeg_decoding="reduced")
    again = embed(tmp_path / "a", jpegs, weights)
    assert sum(calls[3:]) == 7, "all images are embedded again"
    assert again.stamp.id == embed(tmp_path / "b", jpegs, weights).stamp.id


def test_unfinished_work_under_another_transform_is_thrown_away(pictures, weights, tmp_path):
    embed(tmp_path, pictures, weights, transform={"channel": "red", "delta": -1.0})
    again = embed(tmp_path, pictures, weights)
    plain = embed(tmp_path / "plain", pictures, weights)
    assert again.stamp.id == plain.stamp.id


def test_the_job_reaches_few_modules():
    base = Path(__file__).parents[2]
    entry = SITES["class_token"].entry("embed_images")
    reached = reachable_modules(base / "scripts" / "job.py", base / "src", entry)
    assert len(reached) <= 27, reached
    assert not [name for name in reached if "sites.embedding" in name or "config" in name]


def test_too_many_unreadable_images(pictures, weights, tmp_path):
    _, index = pictures
    embed(tmp_path, pictures, weights)
    parts = [tmp_path / "part-0-of-1.zarr"]
    for limit, enough in [(0, False), (0.01, True), (0.5, True), (1, True), (7, True)]:
        manifest = tmp_path / "again.json"
        if enough:
            gather_embeddings(parts=parts, manifest=manifest, max_invalid=limit)
            manifest.unlink()
        else:
            with pytest.raises(RelianceError, match=r"1 of 11: train/b/01.png \(.*\)"):
                gather_embeddings(parts=parts, manifest=manifest, max_invalid=limit, index=index)
            with pytest.raises(RelianceError, match=r"image 7 \((.|\n)*TARGET --forcerun embed_images"):
                gather_embeddings(parts=parts, manifest=manifest, max_invalid=limit)
            assert not manifest.exists()


def test_an_image_that_is_not_the_listed_one_is_told(pictures, weights, tmp_path):
    root, index = pictures
    shutil.copytree(root, tmp_path / "copy")
    path = tmp_path / "copy" / "train" / "a" / "00.png"
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(RelianceError, match=r"00\.png(.|\n)*TARGET --forcerun index_images"):
        embed(tmp_path / "out", (tmp_path / "copy", index), weights)


def test_most_images_unreadable(pictures, weights, tmp_path):
    """The share counts: 6 of 11 is more than 0.5."""
    root, index = pictures
    shutil.copytree(root, tmp_path / "copy")
    for i in range(6):
        path = tmp_path / "copy" / "train" / "a" / f"{i:02}.png"
        path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(RelianceError, match=r"7 of 11: train/a/00\.png .not an image"):
        embed(tmp_path / "out", (tmp_path / "copy", index), weights, max_invalid=0.5)


def test_a_split_that_is_not_there(pictures, weights, tmp_path):
    with pytest.raises(RelianceError, match="no image in split 'val'"):
        embed(tmp_path, pictures, weights, split="val")


def test_class_tokens_of_both_shapes_and_the_hook_is_gone_after_an_error():
    norm = torch.nn.LayerNorm(4)
    tokens: list[torch.Tensor] = []
    x = torch.arange(24.0).reshape(2, 3, 4)
    with pytest.raises(RuntimeError), class_tokens(norm, tokens):
        norm(x)
        norm(x[:, 1])
        raise RuntimeError
    assert torch.equal(tokens[0], x[:, 0]) and torch.equal(tokens[1], x[:, 1])
    norm(x)
    assert len(tokens) == 2 and not norm._forward_pre_hooks


def test_the_models_output_is_not_changed_by_the_hook(weights):
    clip = load_model(weights)
    pixels = torch.randint(0, 255, (3, 3, 24, 24), dtype=torch.uint8)
    before = clip.model.encode_image(normaliser(clip.weights.preprocess)(pixels))
    with forward(clip, SITE) as run:
        run(pixels)
    assert torch.equal(clip.model.encode_image(normaliser(clip.weights.preprocess)(pixels)), before)
    assert not clip.model.visual.ln_post._forward_pre_hooks


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_pixels_are_open_clips_bit_for_bit(tmp_path, mode):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (37, 52, 3), dtype=np.uint8)).save(tmp_path / "x.png")
    preprocess = {
        "size": 24, "mean": [0.48, 0.45, 0.40], "std": [0.26, 0.27, 0.28],
        "interpolation": "bicubic", "resize_mode": mode, "fill_color": 0,
    }  # fmt: skip
    expected = image_transform_v2(PreprocessCfg(**preprocess), is_train=False)(Image.open(tmp_path / "x.png"))
    images = vision.Images(["x.png"], Reading(str(tmp_path), False, 10**6), preprocess)
    assert torch.equal(normaliser(preprocess)(vision.collate([images[0]]).pixels)[0], expected)


@pytest.mark.parametrize(
    ("count", "chunk", "batch"), [(0, 4, 2), (7, 4, 3), (8, 4, 4), (5, 100, 2), (3, 1, 9)]
)
def test_chunked_batches(count, chunk, batch):
    batches = chunked_batches(range(count), chunk, batch)
    assert [i for b in batches for i in b] == list(range(count))
    assert all(0 < len(b) <= batch and b[0] // chunk == b[-1] // chunk for b in batches)


def test_progress_is_logged(pictures, weights, tmp_path, caplog):
    caplog.set_level("INFO")
    embed(tmp_path, pictures, weights)
    assert "11 of 11 images" in caplog.text and "11 images, 1 unreadable" in caplog.text


def test_a_batch_is_started_before_the_rows_of_the_last_are_waited_for():
    seen = []

    class Slow(NamedTuple):
        number: int

        def wait(self):
            seen.append(f"wait {self.number}")
            return np.array([self.number])

    def start(pixels):
        seen.append(f"start {int(pixels)}")
        return Slow(int(pixels))

    batches = [vision.Batch(torch.tensor(i), [""]) for i in range(3)]
    for ahead, order in (
        (0, ["start 0", "wait 0", "start 1", "wait 1", "start 2", "wait 2"]),
        (1, ["start 0", "start 1", "wait 0", "start 2", "wait 1", "wait 2"]),
    ):
        seen.clear()
        found = list(vision._computed(iter(batches), start, ahead))
        assert [(int(batch.pixels), int(rows[0])) for batch, rows in found] == [(0, 0), (1, 1), (2, 2)]
        assert seen == order
        assert list(vision._computed(iter([]), start, ahead)) == []


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(pictures, weights, tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    cpu, gpu = (embed(tmp_path / d, pictures, weights, device=d).read("x") for d in ("cpu", "cuda"))
    np.testing.assert_allclose(gpu, cpu, atol=1e-3)


@pytest.fixture
def photos():
    folder = os.environ.get("RELIANCE_PHOTOS")
    if not folder:
        pytest.skip("RELIANCE_PHOTOS names no folder of photographs (class folders below it)")
    return Path(folder)


@pytest.mark.photos
def test_a_real_architecture_on_photographs(photos, tmp_path):
    """ViT-B/32 with random weights on 16 photographs: index, embed, head, against open_clip."""
    index, weights = tmp_path / "index.parquet", tmp_path / "weights.json"
    classes = tmp_path / "classes.parquet"
    root = tmp_path / "photos"
    for folder in sorted(photos.iterdir())[:16]:
        for split in ("train", "test"):
            shutil.copytree(folder, root / split / folder.name)
    index_images(index=index, classes=classes, root=str(root), layout="folder", per_class=1)
    paths = read_split(index, "train").paths
    resolve_weights(weights=weights, encoder="b32", architecture="ViT-B-32", random=True)
    clip = load_model(weights)
    tower = clip.model.visual
    head = Head(
        *(t.numpy() for t in (tower.ln_post.weight, tower.ln_post.bias, tower.proj)), tower.ln_post.eps
    )
    transform = image_transform_v2(PreprocessCfg(**clip.weights.preprocess), is_train=False)
    batch = torch.stack([transform(Image.open(root / path).convert("RGB")) for path in paths])
    expected = clip.model.encode_image(batch).numpy()
    images = vision.Images(list(paths), Reading(str(root), False, 10**8), clip.weights.preprocess)
    with forward(clip, SITE) as run:
        x = run(vision.collate([images[i] for i in range(16)]).pixels).wait()[0]
    assert cosine_distance(project(x, head), expected).max() < 1e-5


def test_weights_are_cast_once_and_come_back(weights):
    clip = load_model(weights)
    before = {name: p.clone() for name, p in clip.model.named_parameters()}
    with forward(clip, SITE, "bf16") as embed:
        block = clip.model.visual.transformer.resblocks[0]
        kinds = [p.dtype for p in (block.mlp.c_fc.weight, block.attn.in_proj_weight, block.ln_1.weight)]
        assert kinds == [torch.bfloat16, torch.bfloat16, torch.float32]
        assert embed(torch.zeros(2, 3, 24, 24, dtype=torch.uint8)).rows[0].shape == (2, 32)
    assert all(torch.equal(before[name], p) for name, p in clip.model.named_parameters())
