"""Embeddings of images in parquet files, tar shards and ZIP archives are those of the files, bit by bit."""

import numpy as np
import pytest

from images import held
from reliance.images.index import index_images

from .test_vision import embed


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return held.photographs(tmp_path_factory.mktemp("photos"), each=3)


@pytest.mark.parametrize("how", held.HOW)
def test_embeddings_are_those_of_the_files(how, photos, weights, tmp_path):
    found = {}
    for name, root in (("folder", photos), (how, held.pack(how, photos, tmp_path / "kept"))):
        out = {key: tmp_path / name / f"{key}.parquet" for key in ("index", "classes")}
        (tmp_path / name).mkdir()
        index_images(**out, root=str(root), layout=held.LAYOUT[name], max_invalid=2)
        workers = 2 if name == "zip" else 0  # places reach other processes, too
        found[name] = embed(tmp_path / name / "e", (root, out["index"]), weights, parts=2, workers=workers)
    files, inside = found.values()
    for array in ("x", "embedding", "valid"):
        np.testing.assert_array_equal(files.read(array), inside.read(array))
    assert files.excluded == inside.excluded and len(files.excluded) == 1
    assert files.stamp == inside.stamp  # so that everything made of them is the same, too
