"""Coefficients in parts: what is stored is what was computed; kills, parts and the strongest alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.encoders.model import load_model
from reliance.lens import store
from reliance.lens.directions import lens_directions, ranked, read_directions, read_ranking
from reliance.lens.effects import coefficients, wanted
from reliance.lens.paths import neuron_paths
from reliance.lens.record import recording
from reliance.running.job import bundled

from .conftest import BROKEN

IDS = [i for i in range(12) if i != BROKEN]


def settings(pictures: tuple[Path, Path], weights: Path, **more: Any) -> dict[str, Any]:
    root, index = pictures
    fixed = {"index": index, "weights": weights, "split": "train", "dataset_root": str(root), "block": 1}
    how = {"dtype": "float32", "workers": 0, "device": "cpu", "batch_size": 2, "chunk_rows": 4, "threads": 1}
    return {**fixed, **how, "parts": 1, "part_index": 0, **more}


def stored(folder: Path, pictures: tuple[Path, Path], weights: Path, parts: int = 1, **more: Any) -> Path:
    paths = [folder / f"part-{i}-of-{parts}.zarr" for i in range(parts)]
    for i, part in enumerate(paths):
        keywords = settings(pictures, weights, part=part, parts=parts, part_index=i, **more)
        store.lens_part(**bundled(store.lens_part, keywords))
    store.gather_lens(parts=paths, manifest=folder / "manifest.json")
    return folder / "manifest.json"


def whole(manifest: Path) -> dict[str, np.ndarray]:
    blocks = list(store.Coefficients(manifest).blocks(3))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def expected(pictures: tuple[Path, Path], weights: Path) -> np.ndarray:
    clip, root = load_model(weights), pictures[0]
    files = sorted((root / "train").rglob("*.png"))
    pixels = np.stack([np.asarray(Image.open(files[i])) for i in IDS])
    with recording(clip, wanted(clip, 1)) as recorder:
        found = recorder.run(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    return coefficients(found, 1).numpy()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("parts", [1, 3])
def test_what_is_stored_is_what_one_pass_gives(tmp_path, pictures, weights, dtype, parts) -> None:
    found = whole(stored(tmp_path, pictures, weights, parts, dtype=dtype))
    c = expected(pictures, weights)
    assert found["image_id"].tolist() == IDS
    largest = np.abs(c).max((1, 2), keepdims=True)
    assert (np.abs(found["coefficients"] - c) / largest).max() < (1e-5 if dtype == "float32" else 6e-4)
    np.testing.assert_allclose(np.linalg.norm(found["embedding"], axis=1), 1, rtol=1e-5)


def test_a_killed_job_goes_on_to_the_same_numbers(tmp_path, pictures, weights, monkeypatch) -> None:
    once = whole(stored(tmp_path / "once", pictures, weights))
    (tmp_path / "again").mkdir()
    append, left = store.PartWriter.append, [1]

    def killed(self: Any, *args: Any) -> None:
        append(self, *args)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(store.PartWriter, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        stored(tmp_path / "again", pictures, weights)
    monkeypatch.undo()
    seen: list[int] = []
    made = store.Effects._made

    def counted(self: Any, recorder: Any, pixels: Any, reasons: Any, rows: Any) -> Any:
        seen.extend(rows)
        return made(self, recorder, pixels, reasons, rows)

    monkeypatch.setattr(store.Effects, "_made", counted)
    again = whole(stored(tmp_path / "again", pictures, weights))
    assert seen == list(range(4, 12))
    for name, values in once.items():
        np.testing.assert_array_equal(values, again[name])


def test_a_sample_is_evenly_spaced(tmp_path, pictures, weights) -> None:
    found = whole(stored(tmp_path, pictures, weights, images=4))
    assert found["image_id"].tolist() == [0, 3, 7, 11]


@pytest.mark.parametrize("ln_mean", ["exact", "shared"])
def test_the_strongest_alone_are_those_of_all(tmp_path, pictures, weights, ln_mean, monkeypatch) -> None:
    monkeypatch.setattr(store, "PILOT", 3)
    manifest = stored(tmp_path, pictures, weights, ln_mean=ln_mean)
    parts = [tmp_path / f"strongest-{i}.safetensors" for i in range(2)]
    for i, path in enumerate(parts):
        more = {"strongest": path, "parts": 2, "part_index": i, "kept": 6, "ln_mean": ln_mean}
        keywords = settings(pictures, weights, **more)
        store.lens_strongest(**bundled(store.lens_strongest, keywords))
    u = neuron_paths(load_model(weights), 1, ln_mean).numpy()
    stamp = store.Coefficients(manifest).stamp
    full = ranked([manifest], stamp, u, 6, 0.1)
    apart = ranked(parts, read_stamp(parts[0]), u, 6, 0.1)
    np.testing.assert_allclose(full.mean, apart.mean, atol=1e-7)
    assert int(full.images) == int(apart.images) == len(IDS)
    np.testing.assert_allclose(full.norm[:, 0], apart.norm[:, 0], rtol=1e-3)
    assert (full.image_id[:, 0] == apart.image_id[:, 0]).mean() > 0.95
    assert read_ranking(parts[0]).image_id.shape == (len(u), 6)


def test_directions_of_the_stored(tmp_path, pictures, weights) -> None:
    manifest = stored(tmp_path, pictures, weights)
    out = tmp_path / "directions.safetensors"
    keywords = {"weights": weights, "coefficients": [manifest], "directions": out}
    lens_directions(**keywords, tops=tmp_path / "tops.parquet", strongest=5, significant=[0.1, 0.3])
    found, stamp = read_directions(out)
    c = expected(pictures, weights)
    phi = np.einsum("nmk,mkp->nmp", c - c.mean(0), neuron_paths(load_model(weights), 1).numpy())
    norm = np.sort(np.linalg.norm(phi, axis=2), axis=0)[::-1]
    np.testing.assert_allclose(found.thresholds, norm[[0, 2]].T, rtol=1e-3, atol=1e-7)
    neuron = int(norm[0].argmax())
    strongest = np.argsort(-np.linalg.norm(phi[:, neuron], axis=1))[:5]
    _, s, v = np.linalg.svd(phi[strongest, neuron])
    assert abs(found.direction[neuron] @ v[0]) > 0.9999
    assert found.explained[neuron] == pytest.approx(s[0] ** 2 / (s**2).sum(), abs=1e-4)
    assert (phi[strongest, neuron] @ found.direction[neuron] > 0).sum() >= 3
    assert stamp.params["block"] == 1
    with pytest.raises(RelianceError, match="strongest images that were kept"):
        lens_directions(
            **{**keywords, "coefficients": [_strongest(tmp_path, pictures, weights)]},
            tops=tmp_path / "tops.parquet",
            strongest=3,
            significant=[0.5],
        )


def _strongest(folder: Path, pictures: tuple[Path, Path], weights: Path) -> Path:
    path = folder / "few.safetensors"
    keywords = settings(pictures, weights, strongest=path, kept=3)
    store.lens_strongest(**bundled(store.lens_strongest, keywords))
    return path


def test_a_block_without_one_behind_it_is_refused(tmp_path, pictures, weights) -> None:
    with pytest.raises(RelianceError, match="need a block behind"):
        stored(tmp_path, pictures, weights, block=-1)
