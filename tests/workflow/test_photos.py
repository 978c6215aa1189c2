"""Photographs through the whole pipeline: 200 of them, ViT-B/32 with random weights, as its own labeller."""

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from reliance.images.classes import wordnet_names

from .project import Project

EXCLUDED = "results/encoders/random_b32/class_token/photos/excluded.parquet"
PHOTOS = os.environ.get("RELIANCE_PHOTOS")
pytestmark = [
    pytest.mark.photos,
    pytest.mark.skipif(
        not PHOTOS, reason="set RELIANCE_PHOTOS to a folder of class folders with photographs"
    ),
]


def test_from_photographs_to_named_components(fresh: Project, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    folders = sorted(Path(str(PHOTOS)).iterdir())
    for folder in folders[:200]:
        shutil.copy(next(folder.iterdir()), root)
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photograph")
    names = [wordnet_names()[folder.name].short_name for folder in folders[::10]]
    (tmp_path / "names.txt").write_text("\n".join(names))
    config = {
        "images": {"max_invalid": 1},
        "encoders": {"random_b32": {"architecture": "ViT-B-32", "weights": "random"}},
        "vocabularies": {"imagenet_names": str(tmp_path / "names.txt")},
        "datasets": {
            "photos": {
                "layout": "folder",
                "root": str(root),
                "split": {"test": 0.2, "seed": 0},
                "vocabulary": "imagenet_names",
            }
        },
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
    done = fresh.run("results/photos/components.parquet", EXCLUDED)
    assert done.returncode == 0, done.stdout + done.stderr

    index = pq.read_table(results / "datasets/photos/index.parquet").to_pandas()
    assert 140 <= (index["split"] == "train").sum() <= 180  # by a hash of each path, about four fifths
    assert len(index) == 201
    excluded = pq.read_table(fresh.folder / EXCLUDED).to_pandas()
    assert list(excluded["path"].str.endswith("broken.jpg")) == [True]
    components = pq.read_table(results / "photos/components.parquet").to_pandas()
    named = components[components["label"] != ""]
    assert len(components) == 64
    assert len(named) > 5
    assert set(named["label"]) <= set(names)
    assert named["clarity"].between(-1, 1).all()
