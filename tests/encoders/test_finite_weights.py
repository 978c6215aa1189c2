"""A model with a weight that is no number is refused by the name of the tensor, in whatever tower it is."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from reliance.base.errors import RelianceError
from reliance.encoders.head import Head, save_head
from reliance.encoders.model import load_model
from reliance.encoders.sites.class_token import export_head
from reliance.encoders.weights import resolve_weights

from .conftest import save_checkpoint


@pytest.fixture
def broken(tmp_path):
    """broken(tensor, value) gives the weights.json of a checkpoint with one such value."""

    def make(name, value):
        import json

        from .conftest import CONFIG, PREPROCESS

        file = save_checkpoint(tmp_path / "x.safetensors")
        state = load_file(file)
        state[name].view(-1)[-1] = value
        metadata = {"architecture": json.dumps(CONFIG), "preprocess": json.dumps(PREPROCESS)}
        save_file(state, file, metadata)
        resolve_weights(weights=tmp_path / "weights.json", encoder="mine", checkpoint=file)
        return tmp_path / "weights.json"

    return make


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "name", ["visual.proj", "visual.ln_post.bias", "text_projection", "token_embedding.weight", "logit_scale"]
)
def test_a_weight_that_is_no_number(broken, tmp_path, name, value):
    weights = broken(name, value)
    with pytest.raises(
        RelianceError, match=rf"encoders\.mine(.|\n)*NaN or infinity in 1 of \d+ tensors: {name}"
    ):
        load_model(weights)
    with pytest.raises(RelianceError, match=name):
        export_head(weights=weights, head=tmp_path / "head.safetensors")


@pytest.mark.parametrize("field", ["ln_weight", "ln_bias", "proj"])
def test_a_head_that_is_no_head(tmp_path, field):
    d = torch.ones(4).numpy()
    values = {"ln_weight": d, "ln_bias": d, "proj": torch.ones(4, 3).numpy(), "eps": 1e-5}
    values[field] = values[field] * float("nan")
    with pytest.raises(RelianceError, match=f"{field}: .* NaN or infinite"):
        save_head(tmp_path / "head.safetensors", Head(**values), "w")
