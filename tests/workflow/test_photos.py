"""Photographs through the whole pipeline: 200 of them, ViT-B/32 with random weights, as its own labeller."""

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from reliance.images.classes import wordnet_names

from .conftest import Project

PHOTOS = os.environ.get("RELIANCE_PHOTOS")
pytestmark = [
    pytest.mark.photos,
    pytest.mark.skipif(
        not PHOTOS, reason="set RELIANCE_PHOTOS to a folder of class folders with photographs"
    ),
]


def test_from_photographs_to_named_components(fresh: Project, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for i, folder in enumerate(sorted(Path(str(PHOTOS)).iterdir())[:100]):
        photo = next(folder.iterdir())
        for split, name in (("train", f"a{i}"), ("train", f"b{i}"), ("val", f"c{i}")):
            if split == "train" or i < 50:
                target = root / split / folder.name / f"{name}{photo.suffix}"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(photo, target)
    broken = root / "train" / sorted(p.name for p in (root / "train").iterdir())[3] / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not a photograph")
    names = [entry.full_name.split(",")[0] for entry in wordnet_names().values()]
    (tmp_path / "names.txt").write_text("\n".join(names))
    config = {
        "images": {"max_invalid": 1},
        "encoders": {"random_b32": {"architecture": "ViT-B-32", "weights": "random"}},
        "vocabularies": {"imagenet_names": str(tmp_path / "names.txt")},
        "datasets": {"photos": {"layout": "imagenet", "root": str(root), "vocabulary": "imagenet_names"}},
        "variants": {
            "photos": {
                "encoder": "random_b32",
                "dataset": "photos",
                "labeller": "random_b32",
                "sae": {
                    "preset": "planted",
                    "m": 64,
                    "k": 8,
                    "batch_size": 64,
                    "epochs": 20,
                    "decay_at": [15],
                },
            }
        },
    }
    (fresh.folder / "config/tiny.yaml").write_text(yaml.safe_dump(config))
    results = fresh.folder / "results"
    done = fresh.run("results/photos/components.parquet", "results/datasets/photos/excluded.parquet")
    assert done.returncode == 0, done.stdout + done.stderr

    index = pq.read_table(results / "datasets/photos/index.parquet").to_pandas()
    assert (index["split"] == "train").sum() == 201
    excluded = pq.read_table(results / "datasets/photos/excluded.parquet").to_pandas()
    assert list(excluded["path"].str.endswith("broken.jpg")) == [True]
    components = pq.read_table(results / "photos/components.parquet").to_pandas()
    named = components[components["label"] != ""]
    assert len(components) == 64
    assert len(named) > 5
    assert set(named["label"]) <= set(names) | {f"the written word {n}" for n in names}
    assert named["clarity"].between(-1, 1).all()
