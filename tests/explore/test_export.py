"""What a variant knows of its latents, in the files of other tools."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from reliance.base.artifacts import derived_stamp, write_json, write_table
from reliance.base.errors import RelianceError
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.explore.export import export_sae_of, export_units_of
from reliance.units.sae.files import load_sae
from units.sae.examples import write_split

Z = 4


@pytest.fixture
def study(built):
    """The small variant with the files that exports need besides."""
    rng = np.random.default_rng(0)
    weights = built.results / "weights.json"
    content = {"architecture": "from-file", "encoder": "toy", "config": {"vision_cfg": {"layers": 3}}}
    write_json(weights, content, derived_stamp("weights", 1, content, {}))
    top = pd.DataFrame(
        {"component": [0, 0, 2], "rank": [0, 1, 0], "image_id": [4, 1, 7], "activation": [3.0, 2.0, 1.5]}
    )
    write_table(built.home / "top.parquet", top, TOP_SAMPLES, {}, {})
    built.z = rng.standard_normal((built.toy.rows, Z)).astype(np.float32)
    labels = write_split(built.results / "labels", {"embedding": built.z}, site="embedding")
    built.files |= {
        "weights": weights,
        "top_samples": built.home / "top.parquet",
        "labels": {"train": labels},
    }
    built.describe()
    return built


def lines(path):
    with gzip.open(path, "rt") as stream:
        return [json.loads(line) for line in stream]


def test_neuronpedia_has_a_feature_and_an_explanation_per_latent(study, tmp_path):
    out = tmp_path / "out"
    files = export_units_of(study.home, "neuronpedia", out)
    assert out / "model.jsonl" in files
    sae, _ = load_sae(study.files["sae"])
    features = lines(out / "features/batch-0.jsonl.gz")
    explanations = lines(out / "explanations/batch-0.jsonl.gz")
    assert [f["index"] for f in features] == [str(i) for i in range(sae.m)]
    assert explanations[3]["description"] == "label 3"
    assert {f["layer"] for f in features} == {"2-demo"}
    for feature in features:
        i = int(feature["index"])
        np.testing.assert_allclose(feature["vector"], sae.decoder_weight[i], rtol=1e-6)
        assert feature["topkCosSimIndices"][0] == i
        assert feature["pos_values"] == sorted(feature["pos_values"], reverse=True)
        assert feature["neg_values"] == sorted(feature["neg_values"])


def test_semanticlens_has_top_images_and_their_embeddings(study, tmp_path):
    export_units_of(study.home, "semanticlens", tmp_path / "out")
    found = load_file(tmp_path / "out/class_token.safetensors")
    sae, _ = load_sae(study.files["sae"])
    assert found["activations"].dtype == torch.bfloat16
    assert found["sample_ids"].shape == (sae.m, 2)
    assert found["sample_ids"][:3].tolist() == [[4, 1], [-1, -1], [7, -1]]
    with safe_open(tmp_path / "out/class_token.safetensors", "pt") as stream:
        assert stream.metadata()["n_latents"] == str(sae.m)
    z = load_file(tmp_path / "out/concepts.safetensors")["class_token"].numpy()
    np.testing.assert_array_equal(z[0], study.z[[4, 1]])
    np.testing.assert_array_equal(z[2], [study.z[7], np.zeros(Z)])


def test_the_sae_itself(study, tmp_path):
    export_sae_of(study.home, "saelens", tmp_path / "out")
    says = json.loads((tmp_path / "out/cfg.json").read_text())
    assert says["metadata"]["model_name"] == "toy"
    assert says["metadata"]["hook_name"] == "visual.transformer.resblocks.2.cls"


def test_other_formats_are_refused(study, tmp_path):
    with pytest.raises(RelianceError, match="neuronpedia, semanticlens"):
        export_units_of(study.home, "saelens", tmp_path / "out")
    assert not (tmp_path / "out").exists()
