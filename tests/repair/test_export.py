"""The export, used by the lines of docs/repair.md in an interpreter that cannot import this project."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from safetensors import safe_open

from attribution.toy import CLASS_IDS, WEIGHTS, ToySplit
from reliance.base.artifacts import read_json, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.encoders.text import TEXT
from reliance.images.tables import CLASSES
from reliance.repair.export import Repaired, Sets, Tried, export_repair
from reliance.repair.schema import REPAIRS
from reliance.repair.trials import write_vectors

DOCS = Path(__file__).parents[2] / "docs" / "repair.md"
NAMES = {2: "kite", 3: "crane", 5: "cow", 9: "rook"}
ROWS = (  # class, repair, edit, recommended
    (2, "words", {"prompts": "extended"}, True),
    (2, "probe", {"alpha": 1}, False),
    (2, "text_edit", {"units": [1], "strength": 0.1}, True),  # of another case of the class
    (5, "probe", {"alpha": 2}, True),
    (9, "unit_edit", {"units": [3], "caps": [0.5]}, True),
    (3, "words", {"prompts": "extended"}, False),
)


@pytest.fixture
def made(tmp_path):
    toy = ToySplit(tmp_path, seed=1)
    files = toy.files()
    g = np.random.default_rng(0)
    extended = g.normal(size=toy.text.shape)
    extended /= np.linalg.norm(extended, axis=1, keepdims=True)
    other = tmp_path / "extended.parquet"
    frame = pd.DataFrame(
        {
            "prompt_id": range(4),
            "class_id": CLASS_IDS,
            "prompts": [[f"a long {NAMES[c]}"] for c in CLASS_IDS],
            "embedding": list(extended.astype(np.float32)),
        }
    )
    write_table(other, frame, TEXT, {}, {"weights": WEIGHTS})
    classes = pd.DataFrame({"class_id": CLASS_IDS, "short_name": [NAMES[c] for c in CLASS_IDS]})
    classes = classes.assign(folder=classes["short_name"], full_name=classes["short_name"], definition="")
    write_table(tmp_path / "classes.parquet", classes, CLASSES, {}, {})
    p = toy.text.shape[1]
    weight, bias = (
        g.normal(size=(len(ROWS), p)).astype(np.float32),
        g.normal(size=len(ROWS)).astype(np.float32),
    )
    weight[0], bias[0], bias[2] = extended[0], 0, 0
    table = pd.DataFrame(
        [
            {"case_id": f"{c}-{i}", "class_id": c, "repair": r, "edit": json.dumps(e), "recommended": done}
            for i, (c, r, e, done) in enumerate(ROWS)
        ]
    ).assign(kind="other", choice="x", learned=True, halves=True, harms=False)
    for name, kind in REPAIRS.columns:
        if kind == "float64":
            table[name] = 0.5
    ids = {"text": read_stamp(files.text).id, "embeddings": read_stamp(files.embeddings).id}
    tried = Tried(tmp_path / "repairs.parquet", tmp_path / "repairs.safetensors")
    params = {"split": "train", "seed": 0, "every_nth": 1}
    stamp = write_table(tried.repairs, table, REPAIRS, params, ids)
    write_vectors(tried.vectors, weight, bias, stamp)
    sets = Sets(files.text, files.text, files.text, other, other)
    given = {"tried": tried, "sets": sets, "classes": tmp_path / "classes.parquet"}
    return toy, {**given, "index": files.index, "embeddings": files.embeddings}, weight, bias, extended


def export(made, tmp_path, only=None):
    out = Repaired(*(tmp_path / name for name in ("classifier.safetensors", "prompts.yaml", "edits.json")))
    export_repair(**made[1], repaired=out, only=only)
    with safe_open(str(out.classifier), "np") as file:
        return out, file.get_tensor("weight"), file.get_tensor("bias"), file.metadata()


def test_rows_are_the_prompts_with_what_is_recommended(made, tmp_path):
    toy, _, weight, bias, extended = made
    out, rows, biases, about = export(made, tmp_path)
    assert json.loads(about["classes"]) == [NAMES[c] for c in CLASS_IDS]
    both = extended[0] + weight[2] - toy.text[0]  # words, and the edit of the other case
    np.testing.assert_allclose(rows, [both, toy.text[1], weight[3], toy.text[3]], atol=1e-6)
    np.testing.assert_allclose(biases, [0, 0, bias[3], 0], atol=1e-6)
    said = yaml.safe_load(out.prompts.read_text())
    assert said[0] == {"class": "kite", "prompts": ["a long kite"]} and said[1]["prompts"] == ["a"]
    record, _ = read_json(out.edits, "repaired", 1)
    assert [e["in_classifier"] for e in record["edits"]] == [True, True, True, False]
    assert record["without_repair"] == ["2-1", "3-5"]
    unit = made[0].valid & (toy.labels >= 0) & ~(np.random.default_rng(0).random(toy.rows) < 0.5)
    z = np.flatnonzero(unit)
    assert record["judged"]["images"] == len(z)


def test_one_case_alone(made, tmp_path):
    toy, _, weight, _, _ = made
    _, rows, _, _ = export(made, tmp_path, only="2-2")
    np.testing.assert_allclose(rows, [weight[2], *toy.text[1:]], atol=1e-6)
    with pytest.raises(RelianceError, match="a case is asked for by its id"):
        export(made, tmp_path, only="nothing")


def test_the_lines_of_the_documentation_use_it_with_open_clip_alone(made, tmp_path):
    """With a small model of open_clip in the place of the downloaded one."""
    p = made[0].text.shape[1]
    tower = {"image_size": 16, "layers": 1, "width": 16, "patch_size": 8, "head_width": 8}
    text = {"context_length": 8, "vocab_size": 20, "width": 8, "heads": 1, "layers": 1}
    torch.manual_seed(0)
    model = open_clip.CLIP(p, open_clip.CLIPVisionCfg(**tower), open_clip.CLIPTextCfg(**text)).eval()
    config = {"embed_dim": p, "vision_cfg": tower, "text_cfg": text}
    (tmp_path / "made.json").write_text(json.dumps(config))
    torch.save(model.state_dict(), tmp_path / "made.pt")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)).save(
        tmp_path / "photo.jpg"
    )
    out, weight, bias, about = export(made, tmp_path)
    lines = DOCS.read_text().split("```python\n")[1].split("```")[0]
    assert len(lines.strip().splitlines()) <= 11
    lines = lines.replace("results/demo/repaired/classifier.safetensors", str(out.classifier))
    lines = lines.replace('"ViT-B-16", pretrained="datacomp_xl_s13b_b90k"', '"made", pretrained="made.pt"')
    hidden = "import sys; sys.modules['reliance'] = None\n"
    added = "import open_clip; open_clip.add_model_config('made.json')\n"
    command = [sys.executable, "-c", hidden + added + lines]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-800:]
    preprocess = open_clip.image_transform(16, is_train=False)
    with torch.no_grad():
        z = model.encode_image(preprocess(Image.open(tmp_path / "photo.jpg").convert("RGB"))[None]).numpy()[0]
    expected = json.loads(about["classes"])[int((z / np.linalg.norm(z) @ weight.T + bias).argmax())]
    assert done.stdout.strip() == expected
    assert len(read_table(made[1]["tried"].repairs, REPAIRS).frame) == len(ROWS)
