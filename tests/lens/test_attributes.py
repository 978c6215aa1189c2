"""Words of images against the sums as they stand (V5), by hand, and from the stored."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from naming.test_names import write_vocabulary
from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.encoders.model import load_model
from reliance.lens.attributes import (
    ATTRIBUTES,
    Spoken,
    along,
    lens_attributes,
    nearest_to_paper,
    ranked,
    spoken,
    weighed,
)
from reliance.lens.directions import lens_directions
from reliance.lens.ranking import grams
from reliance.lens.store import Coefficients
from reliance.lens.words import WORDS, dictionary, spoken_words
from reliance.naming.names import read_vocabulary

from .test_evaluate import K, M, N, P, made
from .test_store import stored

RNG = np.random.default_rng(3)


def speaker(shared: bool) -> tuple[dict[str, np.ndarray], Spoken, np.ndarray, np.ndarray]:
    arrays, found, u, phi = made(shared)
    gamma = RNG.normal(size=(M, 4)).astype(np.float32) * (RNG.random((M, 4)) < 0.7)
    gram = None if shared else grams(u)
    return arrays, Spoken(0, found, u, gram, found.thresholds[:, 1], csr_array(gamma)), phi, gamma


@pytest.mark.parametrize("shared", [False, True])
def test_weights_are_the_sums_as_they_stand(shared: bool) -> None:
    arrays, own, phi, gamma = speaker(shared)
    assert phi.shape == (N, M, P) and own.u.shape == (M, K, P)
    a, significant = along(own, arrays)
    expected = np.zeros((N, 4))
    for i in range(N):
        for n in range(M):
            if np.linalg.norm(phi[i, n]) > own.threshold[n]:
                expected[i] += phi[i, n] @ own.found.direction[n] * gamma[n]
    assert 0 < significant.mean() < 0.5
    np.testing.assert_allclose(weighed(own, a, significant), expected, atol=1e-4)


def test_words_in_their_order() -> None:
    weight = np.array([[0.2, -1.0, 0.5], [-0.1, -0.2, -0.3], [0.0, 0.1, 0.0], [0.0, 0.0, 0.0]])
    words = np.array(["a", "b", "c"], object)
    found = ranked(np.array([4, 7, 9, 11]), weight, words, np.array([3, 2, 1, 0]), 2)
    rows = [tuple(row) for row in found[["image_id", "rank", "word", "significant"]].itertuples(index=False)]
    assert rows == [(4, 0, "c", 3), (4, 1, "a", 3), (7, 0, "", 2), (9, 0, "b", 1), (11, 0, "", 0)]


def test_the_share_nearest_to_the_papers() -> None:
    assert nearest_to_paper(np.array([0.005, 0.0195, 0.05])) == 1


def test_blocks_add_up(tmp_path, pictures, weights) -> None:
    names = np.array(["sail", "wave", "mast", "rope"], object)
    vectors = np.random.default_rng(5).normal(size=(5, 12)).astype(np.float32)
    spelt = tmp_path / "vocabulary.parquet"
    write_vocabulary(spelt, ["", *names], vectors)
    stamp, vectors = read_stamp(spelt).id, read_vocabulary(spelt)[0].vectors
    files: dict[str, list] = {"directions": [], "words": [], "coefficients": []}
    for block in (0, 1):
        here = tmp_path / str(block)
        here.mkdir()
        manifest = stored(here, pictures, weights, block=block)
        lens_directions(
            weights=weights,
            coefficients=[manifest],
            directions=here / "directions.safetensors",
            tops=here / "tops.parquet",
            strongest=5,
            significant=[0.3],
        )
        neurons = np.arange(128)
        frame = pd.DataFrame({"component": neurons, "rank": 0, "prompt": neurons % 3, "coefficient": 9.0})
        frame = frame.assign(word=names[neurons % 3])
        ids = {"directions": read_stamp(here / "directions.safetensors").id, "vocabulary": stamp}
        write_table(here / "words.parquet", frame, WORDS, {}, ids)
        files["directions"].append(here / "directions.safetensors")
        files["words"].append(here / "words.parquet")
        files["coefficients"].append(manifest)
    out = tmp_path / "attributes.parquet"
    same = {"vocabulary": spelt, "weights": weights, "attributes": out}
    lens_attributes(**files, **same)
    both = read_table(out, ATTRIBUTES).frame
    clip = load_model(weights)
    expected: dict[tuple[int, str], float] = {}
    many: dict[int, int] = {}
    for directions, words, manifest in zip(*files.values(), strict=True):
        own = spoken(clip, directions, words, spelt, vectors)
        for arrays in Coefficients(manifest).blocks(5):
            a, significant = along(own, arrays)
            w = weighed(own, a, significant)
            for row, image_id in enumerate(arrays["image_id"].tolist()):
                many[image_id] = many.get(image_id, 0) + int(significant[row].sum())
                for word, value in zip(names, w[row], strict=True):
                    expected[image_id, word] = expected.get((image_id, word), 0.0) + value
    found = {(i, w): v for i, w, v in zip(both["image_id"], both["word"], both["weight"], strict=True) if w}
    positive = {key: value for key, value in expected.items() if value > 0}
    assert set(found) == set(positive) and len(found) > 10
    for key, value in found.items():
        assert value == pytest.approx(positive[key], rel=1e-4)
    assert both.groupby("image_id")["significant"].first().to_dict() == many and max(many.values()) > 0
    few = spoken_words(own.found.direction, dictionary(vectors), read_table(words, WORDS).frame)
    np.testing.assert_allclose(own.gamma.toarray()[3, 0], few.coefficients[3, 0])  # not the 9 of the table
    with pytest.raises(RelianceError, match="directions"):
        lens_attributes(**{**files, "directions": files["directions"][::-1]}, **same)
    with pytest.raises(RelianceError, match="block"):
        lens_attributes(**{**files, "coefficients": files["coefficients"][::-1]}, **same)
