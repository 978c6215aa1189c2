"""Words of images against the sums as they stand (V5), by hand, and from the stored."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.lens.attributes import (
    ATTRIBUTES,
    Spoken,
    along,
    lens_attributes,
    nearest_to_paper,
    ranked,
    weighed,
)
from reliance.lens.directions import lens_directions
from reliance.lens.ranking import grams
from reliance.lens.words import WORDS

from .test_evaluate import K, M, N, P, made
from .test_store import stored

RNG = np.random.default_rng(3)


def speaker(shared: bool) -> tuple[dict[str, np.ndarray], Spoken, np.ndarray, np.ndarray]:
    arrays, found, u, phi = made(shared)
    gamma = RNG.normal(size=(M, 4)).astype(np.float32) * (RNG.random((M, 4)) < 0.7)
    gram = None if shared else grams(u)
    words = np.array(["a", "b", "c", "d"], object)
    return arrays, Spoken(0, found, u, gram, found.thresholds[:, 1], csr_array(gamma), words), phi, gamma


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
        frame = pd.DataFrame(
            {"component": neurons, "rank": 0, "prompt": neurons % 3, "coefficient": 0.5 + block}
        ).assign(word=[("sail", "wave", "mast")[n % 3] for n in neurons])
        ids = {"directions": read_stamp(here / "directions.safetensors").id}
        write_table(here / "words.parquet", frame, WORDS, {}, ids)
        files["directions"].append(here / "directions.safetensors")
        files["words"].append(here / "words.parquet")
        files["coefficients"].append(manifest)
    out = tmp_path / "attributes.parquet"
    lens_attributes(**files, weights=weights, attributes=out)
    both = read_table(out, ATTRIBUTES).frame
    single = []
    for block in (0, 1):
        one = {name: [paths[block]] for name, paths in files.items()}
        lens_attributes(**one, weights=weights, attributes=out)
        single.append(read_table(out, ATTRIBUTES).frame)
    counts = [frame.groupby("image_id")["significant"].first() for frame in (both, *single)]
    pd.testing.assert_series_equal(counts[0], counts[1] + counts[2], check_dtype=False)
    assert counts[0].max() > 0 and set(both["word"]) <= {"sail", "wave", "mast", ""}
    mixed = {**files, "directions": files["directions"][::-1]}
    with pytest.raises(RelianceError, match="directions"):
        lens_attributes(**mixed, weights=weights, attributes=out)
