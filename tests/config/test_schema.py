"""The committed schema of the configuration is that of the models, and takes the shipped files."""

from pathlib import Path

import pytest
import yaml

from reliance.config.schema import schema, text

ROOT = Path(__file__).parents[2]
jsonschema = pytest.importorskip("jsonschema")


def test_the_committed_schema_is_current():
    found = (ROOT / "config/schema.json").read_text(encoding="utf-8")
    assert found == text(), "run  make schema"


@pytest.mark.parametrize("name", ["config.yaml", "tiny.yaml"])
def test_the_shipped_files_fit(name):
    content = yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8"))
    jsonschema.validate(content, schema())


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": {"follow_link": True}},
        {"datasets": {"mine": {"layout": "folders"}}},
        {"embedding": {"batch_size": 0}},
        {"unknown": 1},
    ],
)
def test_mistakes_do_not(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema())
