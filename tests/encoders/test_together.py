"""Several sites from one pass: each as if its own job had made it; what is there is not made again."""

import fcntl
import shutil

import numpy as np
import pytest

from reliance.encoders import vision
from reliance.encoders.gather import gather_embeddings
from reliance.encoders.sites import block, class_token, embedding, patches
from reliance.encoders.stored import Embeddings
from reliance.running.job import bundled

MODULES = {"class_token": class_token, "embedding": embedding, "block0": block, "block0-patches": patches}
PLACES = {"block0": {"block": 0}, "block0-patches": {"block": 0, "tokens_per_image": 3}}


def others(*names):
    """What the plan says of sites that are recorded, too; the code of their jobs is called by their name."""
    start = "reliance.encoders.sites."
    entries = {"block0": "block:site_at", "block0-patches": "patches:site_at"}
    return {
        n: {"entry": start + entries.get(n, f"{n}:SITE"), "arguments": PLACES.get(n, {}), "fingerprint": n}
        for n in names
    }


@pytest.fixture
def passes(monkeypatch):
    """Images that went through the model."""
    seen = []
    usual = vision.forward

    def counting(*arguments):
        context = usual(*arguments)

        class Counted:
            def __enter__(self):
                run = context.__enter__()
                return lambda pixels: (seen.append(len(pixels)), run(pixels))[1]

            def __exit__(self, *error):
                return context.__exit__(*error)

        return Counted()

    monkeypatch.setattr(vision, "forward", counting)
    return seen


def embed(root, pictures, weights, name, together=()):
    """The train split at a site; returns its embeddings."""
    folder, (images, index) = root / "e" / name / "d" / "train", pictures
    module, part = MODULES[name], root / "e" / name / "d" / "train" / "part-0-of-1.zarr"
    keywords = {"index": index, "weights": weights, "part": part, "split": "train", "workers": 0}
    keywords |= {"part_index": 0, "parts": 1, "dataset_root": str(images), "dtype": "float32"}
    keywords |= {"device": "cpu", "batch_size": 4, "chunk_rows": 5, "fingerprint": name}
    keywords["together"] = others(*together)
    module.embed_images(**bundled(module.embed_images, {**keywords, **PLACES.get(name, {})}))
    gather_embeddings(parts=[part], manifest=folder / "manifest.json", max_invalid=2, index=index)
    return Embeddings(folder / "manifest.json")


def test_sites_are_recorded_in_one_pass_as_their_own_jobs_would(pictures, weights, tmp_path, passes):
    apart = {name: embed(tmp_path / "apart", pictures, weights, name) for name in MODULES}
    count = apart["class_token"].rows
    assert sum(passes) == 4 * count
    passes.clear()
    names = list(MODULES)
    first = embed(tmp_path, pictures, weights, names[0], names[1:])
    assert sum(passes) == count and first.stamp == apart[names[0]].stamp
    for name in names[1:]:
        assert embed(tmp_path, pictures, weights, name, names).stamp == apart[name].stamp
    assert sum(passes) == count, "what was recorded is only given its name"


def test_a_site_that_is_added_later_embeds_itself_alone(pictures, weights, tmp_path, passes):
    first = embed(tmp_path, pictures, weights, "embedding")
    before = np.array(first.read("x"))
    part = tmp_path / "e/embedding/d/train/part-0-of-1.zarr"
    written = part.stat().st_mtime_ns
    embed(tmp_path, pictures, weights, "block0", ["embedding"])
    assert sum(passes) == 2 * first.rows and part.stat().st_mtime_ns == written
    np.testing.assert_array_equal(Embeddings(part.parent / "manifest.json").read("x"), before)
    assert not list(part.parent.glob(".*partial*"))


def test_a_site_that_somebody_is_at_is_left_alone(pictures, weights, tmp_path, passes):
    folder = tmp_path / "e/embedding/d/train"
    folder.mkdir(parents=True)
    with open(folder / ".part-0-of-1.zarr.beside", "a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        embed(tmp_path, pictures, weights, "class_token", ["embedding"])
    assert not list(folder.glob(".*partial*"))
    embed(tmp_path, pictures, weights, "embedding")
    shutil.rmtree(tmp_path / "e/class_token")


def test_other_code_of_its_job_makes_it_again(pictures, weights, tmp_path, passes):
    embed(tmp_path, pictures, weights, "class_token", ["embedding"])
    passes.clear()
    folder, (images, index) = tmp_path / "e/embedding/d/train", pictures
    keywords = {"index": index, "weights": weights, "part": folder / "part-0-of-1.zarr", "split": "train"}
    keywords |= {"part_index": 0, "parts": 1, "dataset_root": str(images), "workers": 0, "device": "cpu"}
    keywords |= {"batch_size": 4, "chunk_rows": 5, "dtype": "float32", "fingerprint": "changed"}
    embedding.embed_images(**bundled(embedding.embed_images, keywords))
    assert sum(passes) > 0
