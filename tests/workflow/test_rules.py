"""Every rule declares all it needs, and every script stays thin."""

import re
from pathlib import Path

import pytest
import yaml
from tests.hostile.rules_alone import evaluate

ROOT = Path(__file__).parents[2]
RULES = {
    name: body
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for name, body in re.findall(r"^rule (\w+):\n((?:[ \t]+.*\n|\n)*)", path.read_text(), flags=re.M)
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_declares_everything(name: str) -> None:
    for directive in ("output", "log", "benchmark", "conda", "resources", "params", "message", "script"):
        assert re.search(rf"^    {directive}:", RULES[name], flags=re.M), f"{name} declares no {directive}"
    assert f'"../scripts/{name}.py"' in RULES[name]
    assert f'**code("{name}.py")' in RULES[name]


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").glob("*.py")), ids=lambda p: p.stem)
def test_a_script_is_one_call(path: Path) -> None:
    assert path.stem in RULES
    assert len(path.read_text().splitlines()) <= 40


def test_a_key_at_its_default_is_no_setting_of_an_embedding() -> None:
    """Snakemake compares settings: one more would embed everything again."""
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    usual = evaluate(raw)["embedding_settings"]()
    assert usual == {"dtype": "float16", "precision": "fp32", "batch_size": 64, "chunk_rows": 2048}
    raw["embedding"]["jpeg_decoding"] = "reduced"
    assert evaluate(raw)["embedding_settings"]() == {**usual, "jpeg_decoding": "reduced"}
