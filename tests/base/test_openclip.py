import subprocess
import sys
from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers")
SOURCE = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}


def test_a_model_is_built_without_transformers():
    code = "import sys, reliance.encoders.model; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=SOURCE).returncode == 0


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
    run = subprocess.run(
        [sys.executable, "-c", code], check=False, env=SOURCE, capture_output=True, text=True
    )
    assert run.stdout.split() == ["1", "4"], run.stderr
