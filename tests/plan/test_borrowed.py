"""Embeddings of another run are refused if images were read or computed in another way."""

import json
from pathlib import Path
from typing import Any

import pytest

from reliance.base.errors import RelianceError
from reliance.config.resolve import load
from reliance.plan.plan import Plan

from .asked import merged

USUAL = {"precision": "fp32", "apply_exif": False}


def manifest_of(raw: dict[str, Any], folder: Path, params: object, **config: object) -> str:
    path = folder / "encoders/tiny/class_token/planted_tiny/train/manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"reliance": {"params": params}}))
    plan = Plan(load(merged(raw, {"encoders": {"tiny": {"embeddings_from": str(folder)}}}, config)))
    return plan.embeddings("tiny", "class_token", "planted_tiny", "train")


@pytest.mark.parametrize("params", [USUAL, {**USUAL, "jpeg_decoding": "exact"}, {}, None])
def test_what_was_made_alike_is_taken(raw: dict[str, Any], tmp_path: Path, params: object) -> None:
    assert manifest_of(raw, tmp_path, params) == str(next(tmp_path.rglob("manifest.json")))


@pytest.mark.parametrize(
    ("params", "config", "found"),
    [
        ({"precision": "bf16"}, {}, "precision: bf16"),
        ({"jpeg_decoding": "reduced"}, {}, "jpeg_decoding: reduced"),
        ({}, {"embedding": {"jpeg_decoding": "reduced"}}, "jpeg_decoding: exact"),
        ({"apply_exif": True}, {}, "apply_exif: True"),
    ],
)
def test_other_ways_of_reading_and_computing_are_refused(
    raw: dict[str, Any], tmp_path: Path, params: dict[str, Any], config: dict[str, Any], found: str
) -> None:
    with pytest.raises(RelianceError) as caught:
        manifest_of(raw, tmp_path, {**USUAL, **params}, **config)
    assert caught.value.where == "encoders.tiny.embeddings_from"
    assert caught.value.found.startswith(found)
