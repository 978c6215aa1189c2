"""Classifiers of others are read from three forms of files, and nothing in them is run."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from reliance.base.errors import RelianceError
from reliance.base.linear_file import read_linear

W, B = np.arange(6, dtype=np.float32).reshape(3, 2), np.array([1, 2, 3], np.float32)
NAMES = ["cat", "dog", "cow"]


def write(path: Path, weight=W, bias=B, names=NAMES, prefix=""):
    if path.suffix == ".npz":
        np.savez(path, **{f"{prefix}weight": weight, f"{prefix}bias": bias, "classes": np.array(names)})
    elif path.suffix == ".safetensors":
        save_file({f"{prefix}weight": weight, f"{prefix}bias": bias}, path, {"classes": json.dumps(names)})
    else:
        tensors = {f"{prefix}weight": torch.tensor(weight), f"{prefix}bias": torch.tensor(bias)}
        torch.save({"state_dict": tensors, "classes": names}, path)
    return path


@pytest.mark.parametrize("name", ["h.npz", "h.safetensors", "h.pt", "h.pth"])
@pytest.mark.parametrize("prefix", ["", "fc."])
def test_three_forms_say_the_same(tmp_path, name, prefix):
    found = read_linear(write(tmp_path / name, prefix=prefix))
    np.testing.assert_array_equal(found.weight, W)
    np.testing.assert_array_equal(found.bias, B)
    assert found.classes == tuple(NAMES) and found.weight.dtype == np.float32


def test_a_state_dict_alone(tmp_path):
    torch.save(torch.nn.Linear(4, 2).state_dict(), tmp_path / "h.pt")
    found = read_linear(tmp_path / "h.pt")
    assert found.weight.shape == (2, 4) and found.classes == ()


def test_one_row_with_two_names_is_two_rows(tmp_path):
    found = read_linear(write(tmp_path / "h.npz", W[1:2], B[1:2], ["no", "yes"]))
    np.testing.assert_allclose(found.weight[1] - found.weight[0], W[1])
    assert found.bias[1] - found.bias[0] == B[1] and found.classes == ("no", "yes")


class Evil:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_nothing_in_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.pt", "a.pkl", "a.npz", "a.safetensors"):
        Path(name).write_bytes(pickle.dumps({"weight": Evil(), "bias": B}))
        with pytest.raises(RelianceError, match="nothing in it is run"):
            read_linear(name)
    np.savez("b.npz", weight=np.array([Evil()], object), bias=B)
    with pytest.raises(RelianceError, match="nothing in it is run"):
        read_linear("b.npz")
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("weight", "bias", "names", "said"),
    [
        (W.T, B, [], r"weight float32 \[2, 3\], bias float32 \[3\]"),
        (W[0], B[:2], [], r"weight float32 \[2\]"),
        (W, B, NAMES[:2], "2 different names for 3 rows"),
        (W, B, ["a", "a", "b"], "2 different names for 3 rows"),
        (W * np.nan, B, [], "weight: 6 of 6 values are NaN"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, weight, bias, names, said):
    with pytest.raises(RelianceError, match=said):
        read_linear(write(tmp_path / "h.npz", weight, bias, names))


def test_missing_and_several(tmp_path):
    np.savez(tmp_path / "a.npz", weight=W)
    torch.save(
        torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)).state_dict(), tmp_path / "b.pt"
    )
    with pytest.raises(RelianceError, match="one of zeros"):
        read_linear(tmp_path / "a.npz")
    with pytest.raises(RelianceError, match="several layers"):
        read_linear(tmp_path / "b.pt")
    with pytest.raises(RelianceError, match="correct the path"):
        read_linear(tmp_path / "none.npz")


@pytest.mark.skipif("RELIANCE_REAL" not in os.environ, reason="RELIANCE_REAL names no folder of real heads")
def test_published_heads():
    for name, p in (("b_16", 512), ("b_32", 512), ("l_14", 768)):
        found = read_linear(Path(os.environ["RELIANCE_REAL"]) / f"laion_aesthetic_vit_{name}.pth")
        assert found.weight.shape == (1, p) and found.bias.shape == (1,)
