from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reliance.base.errors import RelianceError
from reliance.base.rows import Parts
from reliance.codes import encode
from reliance.codes.encode import encode_part
from reliance.codes.store import gather_codes, open_codes
from reliance.running.fingerprint import reachable_modules
from reliance.units.sae.activations import ENCODERS
from reliance.units.sae.files import Sae
from units.sae.examples import INDEX, random_sae, write_sae, write_split

ROOT = Path(__file__).parents[2]
N, D, M, K = 50, 6, 40, 5


def rows(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((N, D)).astype(np.float32)


def brute(x: np.ndarray, sae: Sae) -> tuple[np.ndarray, np.ndarray]:
    pre = (x - sae.bias).astype(np.float32) @ sae.encoder_weight.T + sae.encoder_bias
    if sae.activation == "topk":
        pre = np.maximum(pre, 0)
    indices = np.argsort(-pre, axis=1, kind="stable")[:, : sae.k]
    values = np.take_along_axis(pre, indices, 1).astype(np.float16)
    return values, np.where(values == 0, 0, indices)


def run(folder: Path, x: np.ndarray, sae: Sae, parts: int = 2, **changes: Any) -> Path:
    """Encode a split in parts; the path of the manifest."""
    embeddings = write_split(folder / "x", {"x": x, **changes.pop("arrays", {})}, parts=3)
    write_sae(folder / "sae.safetensors", sae)
    names = [folder / "codes" / f"part-{i}-of-{parts}.zarr" for i in range(parts)]
    settings = {"block_rows": 7, "device": "cpu", "threads": 1, **changes}
    for i, name in enumerate(names):
        encode_part(
            embeddings=embeddings, sae=folder / "sae.safetensors", part=name, part_index=i, parts=parts,
            **settings,
        )  # fmt: skip
    gather_codes(parts=names, manifest=folder / "codes" / "manifest.json")
    return folder / "codes" / "manifest.json"


@pytest.mark.parametrize("activation", ["topk", "signed_topk"])
@pytest.mark.parametrize(("parts", "block_rows"), [(1, 50), (3, 7)])
def test_codes_are_those_of_the_equations(
    tmp_path: Path, activation: str, parts: int, block_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(encode._ELEMENTS, "cpu", 4 * M)  # four rows at a time
    sae = random_sae(M, D, K, activation=activation)
    sae.encoder_bias[:] -= 1.5  # some rows have fewer than k positive pre-activations
    run_as = {"block_rows": block_rows, "encoder": ENCODERS[activation]}
    codes = open_codes(run(tmp_path, rows(), sae, parts, **run_as))
    values, indices = codes.block(0, N)
    expected, expected_indices = brute(rows(), sae)
    assert (expected == 0).any() == (activation == "topk")
    assert (expected < 0).any() == (activation == "signed_topk")
    np.testing.assert_allclose(values, expected, rtol=2e-3, atol=1e-6)
    np.testing.assert_array_equal(indices, expected_indices)
    assert (values.dtype, indices.dtype) == (np.float32, np.int64)
    assert (codes.rows, codes.k, codes.m) == (N, K, M)


def test_codes_name_what_they_were_made_from(tmp_path: Path) -> None:
    codes = open_codes(run(tmp_path, rows(), random_sae(M, D, K)))
    embeddings = Parts(tmp_path / "x" / "manifest.json", "embeddings").stamp
    sae = write_sae(tmp_path / "again.safetensors", random_sae(M, D, K))
    assert codes.stamp.inputs == {"sae": sae, "embeddings": embeddings.id, "index": INDEX}


def test_unreadable_images_have_no_code(tmp_path: Path) -> None:
    valid = np.ones(N, bool)
    valid[[0, 13, 49]] = False
    codes = open_codes(run(tmp_path, rows(), random_sae(M, D, K), arrays={"valid": valid}))
    values, indices = codes.block(0, N)
    np.testing.assert_array_equal(values.any(1), valid)
    assert not indices[~valid].any()
    assert (codes.rows, codes.readable) == (N, N - 3)
    assert [row for row, _ in Parts(codes.path, "codes").excluded] == [0, 13, 49]


@pytest.mark.parametrize(("m", "stored"), [(65535, "<u2"), (65536, "<i4")])
def test_indices_are_as_wide_as_they_need_to_be(tmp_path: Path, m: int, stored: str) -> None:
    sae = random_sae(m, 2, 1)
    sae.encoder_bias[:] = -100
    sae.encoder_bias[m - 1] = 100
    manifest = run(tmp_path, rows()[:4, :2], sae, 1)
    assert Parts(manifest, "codes").layouts["indices"].dtype == stored
    assert open_codes(manifest).block(0, 4)[1].tolist() == [[m - 1]] * 4


def test_order_is_that_before_rounding(tmp_path: Path) -> None:
    """Two activations that are equal as float16 keep the order they had as float32."""
    sae = random_sae(3, 2, 2)
    sae.encoder_weight[:] = 0
    sae.encoder_bias[:] = [2.0, 2.0001, 2.0]
    values, indices = open_codes(run(tmp_path, rows()[:3, :2], sae, 1)).block(0, 3)
    assert indices.tolist() == [[1, 0]] * 3
    assert values.tolist() == [[2, 2]] * 3


def test_activations_that_round_to_zero_are_padding(tmp_path: Path) -> None:
    sae = random_sae(3, 2, 2)
    sae.encoder_weight[:] = 0
    sae.encoder_bias[:] = [0, 1, 1e-9]
    values, indices = open_codes(run(tmp_path, rows()[:3, :2], sae, 1)).block(0, 3)
    assert indices.tolist() == [[1, 0]] * 3
    assert values.tolist() == [[1, 0]] * 3


@pytest.mark.parametrize("bias", [1e5, np.nan])
def test_activations_that_float16_cannot_hold_are_refused(tmp_path: Path, bias: float) -> None:
    sae = random_sae(M, D, K)
    sae.encoder_bias[3] = bias
    with pytest.raises(RelianceError, match=r"row 0 does not|encoder_bias: 1 of"):
        run(tmp_path, rows(), sae)


def test_a_killed_job_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sae = random_sae(M, D, K)
    whole = open_codes(run(tmp_path / "whole", rows(), sae, 1))
    real, calls = encode.encode_rows, []

    def failing(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(encode, "encode_rows", failing)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", rows(), sae, 1)
    calls.clear()
    calls += [1] * 10
    resumed = open_codes(run(tmp_path / "killed", rows(), sae, 1))
    assert len(calls) == 10 + 8 - 3  # eight blocks, three done before
    assert resumed.stamp == whole.stamp


def test_an_sae_of_another_encoder_is_refused(tmp_path: Path) -> None:
    embeddings = write_split(tmp_path / "x", {"x": rows()}, weights="v" * 64)
    write_sae(tmp_path / "sae.safetensors", random_sae(M, D, K))
    with pytest.raises(RelianceError, match="same encoder weights"):
        encode_part(
            embeddings=embeddings, sae=tmp_path / "sae.safetensors", part=tmp_path / "p", part_index=0,
            parts=1, device="cpu",
        )  # fmt: skip


def test_an_sae_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RelianceError, match="activation signed_topk"):
        run(tmp_path, rows(), random_sae(M, D, K, activation="signed_topk"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_finds_the_same_codes(tmp_path: Path) -> None:
    sae = random_sae(M, D, K)
    here = open_codes(run(tmp_path / "cpu", rows(), sae)).block(0, N)
    there = open_codes(run(tmp_path / "cuda", rows(), sae, device="cuda")).block(0, N)
    np.testing.assert_allclose(here[0], there[0], rtol=2e-3)
    np.testing.assert_array_equal(here[1], there[1])


def test_encoding_reaches_few_modules() -> None:
    reached = reachable_modules(
        ROOT / "scripts" / "job.py", ROOT / "src", "reliance.codes.encode:encode_part"
    )
    assert len(reached) <= 16, reached
