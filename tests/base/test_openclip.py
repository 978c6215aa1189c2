import subprocess
import sys
from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers")
SOURCE = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}


def said_by(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], check=False, env=SOURCE, capture_output=True, text=True
    )


def test_a_model_is_built_without_what_few_need():
    code = """
import sys, reliance.encoders.model
print(*(n for n in ("transformers", "timm", "torch._dynamo", "sympy") if n in sys.modules))
import torch, torch._dynamo.utils
print(torch._dynamo.disable.__module__, torch._dynamo.utils.is_compile_supported("cpu"))
"""
    run = said_by(code)
    assert run.stdout.split() == ["torch._dynamo.decorators", "True"], run.stderr


def test_a_text_tower_of_transformers_gets_it(tmp_path):
    small = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
        "vocab_size": 30,
    }
    transformers.RobertaConfig(**small).save_pretrained(tmp_path)
    code = f"""
import torch
from reliance.encoders.model import build
vision = {{"image_size": 8, "patch_size": 4, "width": 8, "layers": 1, "head_width": 4}}
text = {{"hf_model_name": {str(tmp_path)!r}, "hf_proj_type": "mlp", "hf_pooler_type": "mean_pooler"}}
model = build({{"embed_dim": 4, "vision_cfg": vision, "text_cfg": text}})
print(*model.encode_text(torch.tensor([[3, 4, 1]])).shape)
"""
    run = said_by(code)
    assert run.stdout.split() == ["1", "4"], run.stderr
