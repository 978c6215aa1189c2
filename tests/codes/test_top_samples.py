from pathlib import Path

import numpy as np
import pytest

from reliance.base.artifacts import read_table
from reliance.codes import top_samples
from reliance.codes.store import open_codes
from reliance.codes.top_samples import TOP_SAMPLES, Strongest
from reliance.units.protocol import Entries

from .examples import opened, random_codes, write_codes


def brute(dense: np.ndarray, count: int) -> list[tuple[int, int, int, float]]:
    found = []
    for j in range(dense.shape[1]):
        images = sorted(np.flatnonzero(dense[:, j] > 0), key=lambda i: (-dense[i, j], i))[:count]
        found += [(j, rank, int(i), float(dense[i, j])) for rank, i in enumerate(images)]
    return found


def listed(top: top_samples.Top) -> list[tuple[int, int, int, float]]:
    return list(zip(*(column.tolist() for column in top), strict=True))


@pytest.mark.parametrize("buffer", [1, 40, 1 << 23])
@pytest.mark.parametrize(("count", "block_rows"), [(1, 7), (6, 13), (100, 1000)])
def test_top_samples_are_those_of_sorting_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buffer: int, count: int, block_rows: int
) -> None:
    monkeypatch.setattr(top_samples, "_BUFFER", buffer)
    codes, dense = opened(tmp_path)
    values = dense[dense > 0]
    assert len(np.unique(values)) < 6 < len(values)  # many ties
    assert listed(top_samples.strongest(codes, count, block_rows)) == brute(dense, count)


def test_the_table(tmp_path: Path) -> None:
    values, indices = random_codes(90, 25, 4)
    values[indices == 3] = 0  # component 3 never fires
    manifest = write_codes(tmp_path, values, indices, 25)
    codes = open_codes(manifest)
    top_samples.top_samples(codes=manifest, top_samples=tmp_path / "top.parquet", count=6, block_rows=20)
    frame, stamp = read_table(tmp_path / "top.parquet", TOP_SAMPLES)
    assert stamp.inputs == {"codes": codes.stamp.id}
    assert stamp.params == {"count": 6}
    assert 3 not in set(frame["component"])
    assert listed(top_samples.Top(*(frame[c].to_numpy() for c in top_samples.Top._fields))) == listed(
        top_samples.strongest(codes, 6, 1000)
    )


def test_negative_activations_are_never_on_top() -> None:
    kept = Strongest(2, 9, 3, np.dtype(np.float16))
    values = np.array([-5.0, 0.5, -1.0, 0.25], np.float16)
    kept.add(Entries(np.array([0, 1, 2, 3]), np.array([0, 0, 1, 0]), values))
    assert listed(kept.result()) == [(0, 0, 1, 0.5), (0, 1, 3, 0.25)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("rows", [1 << 18, 1_281_167, 400_000_000, 1 << 34, 1 << 40])
def test_activations_keep_their_value_and_the_largest_ids_fit(dtype: type, rows: int) -> None:
    tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    m = 30_000
    kept = Strongest(m, rows, 2, np.dtype(dtype))
    values = np.array([tiny, 1.5, huge], dtype)
    kept.add(Entries(np.array([0, 3, rows - 1]), np.array([m - 1, 0, m - 1]), values))
    found = kept.result()
    assert found.component.tolist() == [0, m - 1, m - 1]
    assert found.image_id.tolist() == [3, rows - 1, 0]
    assert found.activation.tolist() == [1.5, float(huge), float(np.float32(tiny))]


@pytest.mark.parametrize("buffer", [1, 40, 1 << 23])
@pytest.mark.parametrize(("count", "block_rows"), [(1, 7), (6, 13), (100, 1000)])
def test_images_beside_their_keys_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buffer: int, count: int, block_rows: int
) -> None:
    monkeypatch.setattr(top_samples, "_BUFFER", buffer)
    codes, dense = opened(tmp_path)
    kept = Strongest(codes.m, 1 << 60, count, np.dtype(np.float16))
    assert kept._image_bits == 0
    for start, stop in codes.blocks(block_rows):
        kept.add(codes.entries(start, stop))
    assert listed(kept.result()) == brute(dense, count)
