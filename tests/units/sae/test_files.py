import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from reliance.base.artifacts import STAMP_KEY, content_stamp, hash_arrays
from reliance.base.errors import RelianceError
from reliance.encoders.stored import Embeddings
from reliance.units.sae.files import Sae, check_fits, load_data, load_sae, save_sae

from .examples import WEIGHTS, random_sae, write_sae, write_split

SRC = Path(__file__).parents[3] / "src"


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    sae = random_sae(11, 4, 3, activation="signed_topk")
    stamp = save_sae(tmp_path / "a.safetensors", sae, {"lr": 0.1}, {"encoder": WEIGHTS})
    loaded, found = load_sae(tmp_path / "a.safetensors")
    assert found == stamp
    assert stamp.id == hash_arrays(sae.arrays)
    assert stamp.params == {"lr": 0.1, "m": 11, "d": 4, "k": 3, "activation": "signed_topk"}
    assert (loaded.k, loaded.activation, loaded.m, loaded.d) == (3, "signed_topk", 11, 4)
    for name, array in sae.arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)


def test_loading_does_not_import_torch(tmp_path: Path) -> None:
    write_sae(tmp_path / "a.safetensors", random_sae(5, 4, 3))
    code = (
        f"import sys; sys.path.insert(0, {str(SRC)!r}); from reliance.units.sae.files import load_sae; "
        f"load_sae({str(tmp_path / 'a.safetensors')!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def broken(**changes: object) -> Sae:
    return random_sae(11, 4, 3)._replace(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sae", "message"),
    [
        (broken(k=12), "k = 12, m = 11"),
        (broken(k=0), "k = 0"),
        (broken(bias=np.zeros(5, np.float32)), r"bias float32 \(5,\)"),
        (broken(encoder_weight=np.zeros((10, 4), np.float32)), "agree in m and d"),
        (broken(encoder_bias=np.zeros(11)), "encoder_bias float64"),
        (broken(decoder_weight=np.ones((11, 4), np.float32)), "length off by 1"),
        (broken(decoder_weight=np.full((11, 4), np.nan, np.float32)), "decoder_weight: 44 of 44 values"),
    ],
)
def test_what_is_no_sae_is_not_saved(tmp_path: Path, sae: Sae, message: str) -> None:
    with pytest.raises(RelianceError, match=message):
        save_sae(tmp_path / "a.safetensors", sae, {}, {})
    assert not list(tmp_path.iterdir())


def test_changed_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    sae = random_sae(11, 4, 3)
    stamp = save_sae(path, sae, {}, {})
    changed = sae._replace(bias=sae.bias + 1)
    save_file(changed.arrays, path, metadata={STAMP_KEY: stamp.to_json()})
    with pytest.raises(RelianceError, match="the arrays are those its stamp names"):
        load_sae(path)


def test_files_that_are_no_sae_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(RelianceError, match="no such file"):
        load_sae(path)
    path.write_bytes(b"nothing")
    with pytest.raises(RelianceError, match="truncated"):
        load_sae(path)
    sae = random_sae(11, 4, 3)
    save_file(sae.arrays, path)
    with pytest.raises(RelianceError, match="no stamp"):
        load_sae(path)
    stamp = content_stamp("sae", 1, "0" * 64, {"k": 3, "activation": "topk"}, {})
    save_file({"bias": sae.bias}, path, metadata={STAMP_KEY: stamp.to_json()})
    with pytest.raises(RelianceError, match="the arrays bias"):
        load_sae(path)
    stamp = content_stamp("probe", 1, "0" * 64, {}, {})
    save_file(sae.arrays, path, metadata={STAMP_KEY: stamp.to_json()})
    with pytest.raises(RelianceError, match="'probe'"):
        load_sae(path)


def test_an_sae_fits_only_its_encoder_and_width(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_sae(path, random_sae(11, 4, 3))
    sae, stamp = load_sae(path)
    x = np.ones((6, 4), np.float32)
    check_fits(path, sae, stamp, Embeddings(write_split(tmp_path / "same", {"x": x})))
    other = Embeddings(write_split(tmp_path / "other", {"x": x}, weights="v" * 64))
    with pytest.raises(RelianceError, match="encoder weights wwww"):
        check_fits(path, sae, stamp, other)
    wide = Embeddings(write_split(tmp_path / "wide", {"x": np.ones((6, 5), np.float32)}))
    with pytest.raises(RelianceError, match="d = 4"):
        check_fits(path, sae, stamp, wide)


def test_data_are_the_readable_rows_of_all_splits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((9, 4), np.float32), rng.standard_normal((5, 4), np.float32) + 2
    valid = np.array([True, False] * 4 + [True])
    paths = [
        write_split(tmp_path / "a", {"x": first, "valid": valid}),
        write_split(tmp_path / "b", {"x": second}),
    ]
    data = load_data(paths)
    x = np.concatenate([first[valid], second]).astype(np.float16)
    np.testing.assert_array_equal(data.x, x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(data.mean, wide.mean(0), rtol=1e-6)
    assert data.power == pytest.approx((wide**2).sum(1).mean())
    assert data.variance == pytest.approx(((wide - wide.mean(0)) ** 2).sum(1).mean())
    stamps = [Embeddings(path).stamp.id for path in paths]
    assert data.inputs == {"encoder": WEIGHTS, "embeddings_0": stamps[0], "embeddings_1": stamps[1]}


def test_data_of_two_encoders_do_not_mix(tmp_path: Path) -> None:
    x = np.ones((6, 4), np.float32)
    paths = [
        write_split(tmp_path / "a", {"x": x}),
        write_split(tmp_path / "b", {"x": x}, weights="v" * 64),
    ]
    with pytest.raises(RelianceError, match="same encoder weights"):
        load_data(paths)


@pytest.mark.parametrize("value", [1e5, np.nan])
def test_data_that_float16_cannot_hold_are_refused(tmp_path: Path, value: float) -> None:
    x = np.ones((6, 4), np.float32)
    x[3, 2] = value
    with pytest.raises(RelianceError, match=r"fit float16|NaN or infinite"):
        load_data([write_split(tmp_path / "a", {"x": x})])


def test_an_sae_of_another_site_is_refused_though_widths_agree(tmp_path: Path) -> None:
    x, path = np.ones((6, 4), np.float32), tmp_path / "a.safetensors"
    stamp = save_sae(path, sae := random_sae(11, 4, 3), {"site": "class_token"}, {"encoder": WEIGHTS})
    tokens = write_split(tmp_path / "tokens", {"x": x}, site="class_token")
    outputs = write_split(tmp_path / "outputs", {"embedding": x}, site="embedding")
    check_fits(path, sae, stamp, Embeddings(tokens))
    with pytest.raises(RelianceError, match="site 'class_token', but 'embedding' there"):
        check_fits(path, sae, stamp, Embeddings(outputs))
    with pytest.raises(RelianceError, match="site 'embedding', but 'class_token' there"):
        load_data([tokens, outputs])
    assert load_data([outputs]).site == "embedding"
