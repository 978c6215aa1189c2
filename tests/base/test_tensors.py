"""safetensors with equal bytes, read back by the library itself."""

import numpy as np
from safetensors import safe_open

from reliance.base.tensors import write_tensors

TENSORS = {
    "scalar": np.array(2.5, np.float32),
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::-1],
    "ids": np.array([3, 1], np.int64),
}
METADATA = {f"key {i}": 'value "of" \u00e9\n' * i for i in range(8)}


def test_the_same_content_gives_the_same_bytes(tmp_path):
    """Eight keys in random order would agree twenty times by chance of 1 in 40320^19."""
    written = set()
    for _ in range(20):
        write_tensors(tmp_path / "x.safetensors", TENSORS, METADATA)
        written.add((tmp_path / "x.safetensors").read_bytes())
    assert len(written) == 1


def test_the_library_reads_what_was_written(tmp_path):
    write_tensors(tmp_path / "x.safetensors", TENSORS, METADATA)
    with safe_open(tmp_path / "x.safetensors", framework="numpy") as file:
        assert file.metadata() == METADATA
        assert set(file.keys()) == set(TENSORS)
        for name, expected in TENSORS.items():
            found = file.get_tensor(name)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
