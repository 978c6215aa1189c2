"""Units of one dictionary found in another one, against dense correlations and a known permutation."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.codes.encode import encode_part
from reliance.codes.store import gather_codes
from reliance.matching.assignment import one_to_one
from reliance.matching.correlation import activity, nearest_rows, strongest_pairs
from reliance.matching.matches import match_units, sparse_rows, stability_of
from reliance.matching.schema import MATCHES, STABILITY
from reliance.units.sae.files import Sae, load_sae, save_sae
from units.sae.examples import random_sae, sparse_data, write_split

N, D, M, K = 400, 16, 30, 4


def codes(rng: np.random.Generator, n: int, m: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    indices = np.stack([rng.permutation(m)[:k] for _ in range(n)])
    return rng.uniform(0, 2, (n, k)).astype(np.float32) * (rng.random((n, k)) < 0.8), indices


@pytest.mark.parametrize("size", [4, 512])
def test_correlations_are_those_of_dense_activations(size: int) -> None:
    rng = np.random.default_rng(0)
    one, other = (sparse_rows(*codes(rng, 60, m, 3), m) for m in (11, 13))
    dense = np.zeros((60, 13))
    dense[:] = other.toarray()
    r = np.corrcoef(one.toarray().T.astype(float), dense.T)[:11, 11:]
    found = strongest_pairs(activity(one), activity(other), 5, size)
    np.testing.assert_array_equal(found.shortlist, np.argsort(-r, axis=1)[:, :5])
    np.testing.assert_allclose(found.correlations, -np.sort(-r, axis=1)[:, :5], atol=1e-5)
    np.testing.assert_array_equal(found.back, r.argmax(0))
    np.testing.assert_allclose(found.back_correlations, r.max(0), atol=1e-5)


def test_a_unit_that_never_fires_correlates_with_nothing() -> None:
    one = sparse_rows(np.array([[1.0], [0.0], [2.0]], np.float32), np.array([[0], [0], [1]]), 3)
    found = strongest_pairs(activity(one), activity(one), 3)
    assert (found.correlations[2] == 0).all()
    assert found.back[2] == -1


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_the_assignment_is_the_best_one(m: int, others: int, seed: int) -> None:
    r = np.random.default_rng(seed).uniform(-1, 1, (m, others)).astype(np.float32)
    order = np.argsort(-r, axis=1)
    partner = one_to_one(order, np.take_along_axis(r, order, 1), others)
    matched = partner >= 0
    assert len(set(partner[matched])) == matched.sum()
    positive = np.maximum(r, 0)
    rows, columns = linear_sum_assignment(positive, maximize=True)
    ours = r[np.flatnonzero(matched), partner[matched]].sum()
    assert ours == pytest.approx(positive[rows, columns].sum(), abs=1e-4)


def test_nearest_rows_both_ways() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((m, 5)).astype(np.float32) for m in (9, 7))
    found = nearest_rows(a, b, size=4)
    np.testing.assert_array_equal(found[0], (a @ b.T).argmax(1))
    np.testing.assert_array_equal(found[2], (a @ b.T).argmax(0))
    np.testing.assert_allclose(found[3], (a @ b.T).max(0), rtol=1e-5)


class World:
    """Codes of SAEs on the same images."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.x = sparse_data(N, D, factors=M, active=2)
        self.embeddings = write_split(folder / "x", {"x": self.x}, site="class_token")

    def add(
        self, name: str, sae: Sae, encoder: str = "w" * 64, embeddings: Path | None = None
    ) -> tuple[Path, Path]:
        folder = self.folder / name
        path = folder / "sae.safetensors"
        save_sae(path, sae, {"site": "class_token"}, {"encoder": encoder})
        encode_part(
            embeddings=embeddings or self.embeddings,
            sae=path,
            part=folder / "part-0-of-1.zarr",
            part_index=0,
            parts=1,
            device="cpu",
            threads=1,
        )
        gather_codes(parts=[folder / "part-0-of-1.zarr"], manifest=folder / "manifest.json")
        return folder / "manifest.json", path

    def match(self, *members: tuple[Path, Path], **how: float) -> None:
        match_units(
            codes=[c for c, _ in members],
            saes=[s for _, s in members],
            variants=[f"v{i}" for i in range(len(members))],
            matches=self.folder / "m.parquet",
            stability=self.folder / "s.parquet",
            **how,  # type: ignore[arg-type]
        )


def noisy_copy(sae: Sae, order: np.ndarray, noise: float, seed: int = 1) -> Sae:
    """The units in another order, each turned a little."""
    rng = np.random.default_rng(seed)

    def turned(rows: np.ndarray) -> np.ndarray:
        found = rows[order] + noise * rng.standard_normal(rows.shape, dtype=np.float32)
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    encoder, decoder = turned(sae.encoder_weight), turned(sae.decoder_weight)
    return sae._replace(encoder_weight=encoder, encoder_bias=sae.encoder_bias[order], decoder_weight=decoder)


def test_a_permuted_noisy_copy_is_found(tmp_path: Path) -> None:
    world = World(tmp_path)
    sae = random_sae(M, D, K)._replace(bias=world.x.mean(0))
    sae = sae._replace(encoder_weight=sae.decoder_weight)
    order = np.random.default_rng(3).permutation(M)
    world.match(world.add("a", sae), world.add("b", noisy_copy(sae, order, 0.02)))
    frame, _ = read_table(tmp_path / "m.parquet", MATCHES)
    assert len(frame) == 2 * M
    there = frame[frame["variant"] == "v0"]
    back = frame[frame["variant"] == "v1"]
    fires = there["correlation"] > 0
    assert fires.sum() >= 0.9 * M
    np.testing.assert_array_equal(order[there["match"][fires]], np.flatnonzero(fires))
    np.testing.assert_array_equal(back["match"].to_numpy()[there["match"][fires]], np.flatnonzero(fires))
    assert there["correlation"][fires].median() > 0.9
    assert there["mutual"][fires].mean() > 0.9
    assert there["cosine"][fires].min() > 0.98
    np.testing.assert_array_equal(order[there["nearest_by_cosine"]], np.arange(M))
    stability, _ = read_table(tmp_path / "s.parquet", STABILITY)
    assert len(stability) == 2 * M
    assert (stability["others"] == 1).all()
    assert stability["found_again"].mean() > 0.8


def test_other_encoders_are_matched_by_activations_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    sae = random_sae(M, D, K)._replace(bias=world.x.mean(0))
    turned = write_split(tmp_path / "y", {"x": world.x[:, ::-1].copy()}, weights="v" * 64, site="class_token")
    mirrored = Sae(
        *(np.ascontiguousarray(a[..., ::-1]) if a.shape[-1] == D else a for a in sae.arrays.values()), k=K
    )
    one = world.add("a", sae)
    other = world.add("b", mirrored, "v" * 64, turned)
    world.match(one, other, images=150, shortlist=8)
    frame, _ = read_table(tmp_path / "m.parquet", MATCHES)
    there = frame[(frame["variant"] == "v0") & (frame["correlation"] > 0)]
    np.testing.assert_array_equal(there["match"], there["component"])
    np.testing.assert_allclose(there["correlation"], 1, atol=1e-3)
    assert frame["cosine"].isna().all()
    assert (frame["nearest_by_cosine"] == -1).all()


def test_different_images_and_other_saes_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    sae = random_sae(M, D, K)
    one = world.add("a", sae)
    others = write_split(tmp_path / "y", {"x": world.x}, index="j" * 64, site="class_token")
    other = world.add("b", sae, embeddings=others)
    with pytest.raises(RelianceError, match="index of images"):
        world.match(one, other)
    third = world.add("c", random_sae(M, D, K, seed=5))
    with pytest.raises(RelianceError, match="SAE"):
        world.match(one, (third[0], one[1]))
    assert load_sae(one[1])[0].m == M


def test_stability_is_over_all_others(tmp_path: Path) -> None:
    world = World(tmp_path)
    sae = random_sae(M, D, K)._replace(bias=world.x.mean(0))
    sae = sae._replace(encoder_weight=sae.decoder_weight)
    same = world.add("b", noisy_copy(sae, np.arange(M), 0.0))
    unlike = world.add("c", random_sae(M, D, K, seed=9))
    world.match(world.add("a", sae), same, unlike)
    frame, _ = read_table(tmp_path / "m.parquet", MATCHES)
    assert len(frame) == 6 * M
    found = stability_of(frame, 0.95, {"v0": "w", "v1": "w", "v2": "other"})
    for row in found.itertuples():
        own = frame[(frame["variant"] == row.variant) & (frame["component"] == row.component)]
        there = {"v0": ["v2"], "v1": ["v2"], "v2": ["v0", "v1"]}[row.variant]
        best = own.loc[own["other"].isin(there), "correlation"].max()
        assert (row.models, row.universal) == (1, float(best >= 0.95))
    own = found[(found["variant"] == "v0") & (found["mean_correlation"] > 0.4)]
    assert (own["others"] == 2).all()
    assert own["found_again"].between(0.5, 1).all()
