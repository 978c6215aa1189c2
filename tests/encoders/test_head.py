"""The head against the model it was taken from."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from reliance.base.artifacts import derived_stamp
from reliance.base.errors import RelianceError
from reliance.encoders.head import Head, identity_head, load_head, project, save_head
from reliance.encoders.model import load_model
from reliance.encoders.sites import class_token, embedding


def test_project_by_hand():
    """x = (1, 3): mean 2, variance 1; eps 0 gives (-1, 1)."""
    head = Head(np.float32([2, 3]), np.float32([10, 20]), np.float32([[1, 0], [1, 1]]), 0.0)
    np.testing.assert_allclose(project(np.float32([[1, 3]]), head), [[8 + 23, 23]])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_project_is_layer_norm_and_matmul(dtype, tolerance):
    rng = np.random.default_rng(0)
    d, p = 16, 5
    head = Head(*(rng.normal(size=s).astype(np.float32) for s in ((d,), (d,), (d, p))), eps=1e-3)
    x = rng.normal(size=(7, d)) * 0.1  # small, so that eps matters
    ln = torch.nn.functional.layer_norm(
        torch.tensor(x),
        (d,),
        torch.tensor(head.ln_weight).double(),
        torch.tensor(head.ln_bias).double(),
        head.eps,
    )
    found = project(x.astype(dtype), head)
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found, (ln @ torch.tensor(head.proj).double()).numpy(), atol=tolerance, rtol=1e-4
    )
    assert project(x.astype(np.float16), head).dtype == np.float32


def test_export_head_is_the_models(weights, tmp_path):
    class_token.export_head(weights=weights, head=tmp_path / "head.safetensors")
    head, stamp = load_head(tmp_path / "head.safetensors")
    clip = load_model(weights)
    np.testing.assert_array_equal(head.ln_weight, clip.model.visual.ln_post.weight.numpy())
    np.testing.assert_array_equal(head.ln_bias, clip.model.visual.ln_post.bias.numpy())
    np.testing.assert_array_equal(head.proj, clip.model.visual.proj.numpy())
    assert head.eps == clip.model.visual.ln_post.eps and head.proj.dtype == np.float32
    assert (stamp.kind, stamp.inputs) == ("head", {"weights": clip.stamp.id})
    assert stamp.params["site"] == "class_token" and head.normed


def test_the_head_of_the_embedding_is_the_identity(weights, tmp_path):
    embedding.export_head(weights=weights, head=tmp_path / "head.safetensors")
    head, stamp = load_head(tmp_path / "head.safetensors")
    assert stamp.params["site"] == "embedding" and not head.normed
    np.testing.assert_array_equal(head.proj, np.eye(12))
    z = np.random.default_rng(0).normal(size=(3, 12)).astype(np.float16)
    np.testing.assert_array_equal(project(z, head), z.astype(np.float32))
    np.testing.assert_array_equal(z.astype(np.float64) @ identity_head(12).proj, z)


def test_save_and_load_keep_every_bit(tmp_path):
    rng = np.random.default_rng(0)
    head = Head(*(rng.normal(size=s).astype(np.float32) for s in ((4,), (4,), (4, 3))), eps=1e-5)
    save_head(tmp_path / "h.safetensors", head, "w")
    again, found = load_head(tmp_path / "h.safetensors")
    assert found.inputs == {"weights": "w"} and again.eps == 1e-5
    assert found == derived_stamp("head", 2, found.params, found.inputs)
    for a, b in zip(head[:3], again[:3], strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_not_a_head(tmp_path, checkpoint):
    with pytest.raises(RelianceError, match="no such file"):
        load_head(tmp_path / "none.safetensors")
    (tmp_path / "text").write_text("hello")
    for path in (tmp_path / "text", checkpoint):
        with pytest.raises(RelianceError, match="readable 'head' artifact"):
            load_head(path)
    head = Head(*(np.zeros(s, np.float32) for s in ((4,), (4,), (4, 3))), eps=1e-5)
    path = tmp_path / "h.safetensors"
    tensors = {n: getattr(head, n) for n in ("ln_weight", "ln_bias", "proj")}
    save_file(tensors, path, {"eps": "1e-5", "reliance": derived_stamp("probe", 1, {}, {}).to_json()})
    with pytest.raises(RelianceError, match="must be 'head'"):
        load_head(path)
    save_head(path, head, "w")
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(RelianceError, match="its tensors are not those"):
        load_head(path)


def test_importing_the_head_does_not_import_torch():
    code = (
        "import sys; import reliance.encoders.head, reliance.encoders.text; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": "src"})
