from pathlib import Path

import numpy as np
import pytest

from reliance.base.errors import RelianceError
from reliance.codes.store import gather_codes, open_codes

from .examples import opened, random_codes, write_codes


def test_blocks_cover_the_split(tmp_path: Path) -> None:
    values, indices = random_codes(50, 20, 4)
    codes = open_codes(write_codes(tmp_path, values, indices, 20))
    ranges = list(codes.blocks(17))
    assert ranges == [(0, 17), (17, 34), (34, 50)]
    found = [codes.block(*r) for r in ranges]
    np.testing.assert_array_equal(np.concatenate([f[0] for f in found]), values)
    np.testing.assert_array_equal(np.concatenate([f[1] for f in found]), indices)
    assert {(v.dtype.name, i.dtype.name) for v, i in found} == {("float32", "int64")}


@pytest.mark.parametrize("block_rows", [1, 17, 90, 1000])
def test_entries_are_the_non_zero_activations(tmp_path: Path, block_rows: int) -> None:
    codes, dense = opened(tmp_path)
    again = np.zeros_like(dense)
    count = 0
    for start, stop in codes.blocks(block_rows):
        entries = codes.entries(start, stop)
        assert (np.diff(entries.image_id) >= 0).all()
        assert ((entries.image_id >= start) & (entries.image_id < stop)).all()
        again[entries.image_id, entries.component] = entries.value
        count += len(entries.value)
    np.testing.assert_array_equal(again, dense)
    assert count == (dense != 0).sum()


def test_numbers_that_are_no_latents_are_refused(tmp_path: Path) -> None:
    values, indices = random_codes(50, 20, 4)
    indices[41, 2] = 20
    codes = open_codes(write_codes(tmp_path, values, indices, 20))
    codes.block(0, 41)
    for read in (codes.block, codes.entries):
        with pytest.raises(RelianceError, match=r"to 20 in rows 34 to 49\n  allowed: 0 to 19"):
            read(34, 50)


def test_parts_out_of_order_are_refused(tmp_path: Path) -> None:
    write_codes(tmp_path, *random_codes(50, 20, 4), 20)
    paths = [tmp_path / f"part-{i}-of-3.zarr" for i in (1, 0, 2)]
    with pytest.raises(RelianceError, match="follow each other"):
        gather_codes(parts=paths, manifest=tmp_path / "other.json")


def test_codes_are_opened_by_their_manifest(tmp_path: Path) -> None:
    with pytest.raises(RelianceError, match="no such file"):
        open_codes(tmp_path / "manifest.json")
