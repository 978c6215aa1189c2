"""Families: of which one a model is, where each can be read, and that adding one is a module and a row."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reliance.base.artifacts import write_json
from reliance.base.errors import RelianceError
from reliance.config.sites import SITES
from reliance.encoders.families.family import CLASS_TOKEN, check_parts, families, family_of, needed
from reliance.encoders.families.table import FAMILIES
from reliance.encoders.head import load_head, project
from reliance.encoders.model import USUAL, load_model, load_tokenizer, read_weights
from reliance.encoders.registry import check_encoder, model_config
from reliance.encoders.sites import class_token, embedding
from reliance.encoders.stored import Embeddings
from reliance.encoders.text import encode_prompts
from reliance.encoders.weights import resolve_weights
from reliance.running.fingerprint import reachable_modules

from ..conftest import CONFIG, PREPROCESS, save_checkpoint, variant
from ..test_vision import embed, reference

ROOT = Path(__file__).parents[3]
POOLER = {"attentional_pool": True, "attn_pooler_heads": 2}
MADE_UP = '''
"""Vision transformers of timm that give their class token to a LayerNorm and a projection."""

from reliance.encoders.families.family import Family


def config_misfit(config):
    vision = config["vision_cfg"]
    pooled = (vision.get("timm_pool"), vision.get("timm_proj"))
    return None if pooled == ("token", "linear") else "no timm tower that pools by its class token"


FAMILY = Family(
    "timm_token",
    "timm's transformers",
    config_misfit,
    lambda model: None,
    {"norm": "visual.trunk.norm", "proj": "visual.head.proj"},
)
'''


def timm_tower(name: str, size: int, pool: str, proj: str | None, **top: Any) -> dict[str, Any]:
    """CONFIG with an image tower of timm."""
    vision = {"timm_model_name": name, "image_size": size, "timm_pool": pool, "timm_proj": proj}
    return {**CONFIG, **top, "vision_cfg": vision}


TOKEN = timm_tower("test_vit", 160, "token", "linear")
TEXT = {**CONFIG["text_cfg"], "no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
CAPTIONS = {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
OTHERS = {
    "siglip": {
        **timm_tower("test_vit", 160, "map", "none", embed_dim=64, custom_text=True),
        **{"init_logit_bias": -10, "text_cfg": TEXT},
    },
    "timm token": TOKEN,
    "eva": timm_tower("eva02_tiny_patch14_224", 224, "token", "linear"),
    "mobileclip": timm_tower("fastvit_t8", 32, "avg", "linear", custom_text=True),
    "convnext": timm_tower("convnext_atto", 32, "", "linear"),
    "resnet": {**CONFIG, "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8}},
    "mean": variant(pool_type="avg"),
    "attention": variant(**POOLER),
    "coca": {
        **variant(**POOLER, output_tokens=True),
        **{
            "multimodal_cfg": CAPTIONS,
            "text_cfg": {**CONFIG["text_cfg"], "embed_cls": True, "output_tokens": True},
        },
    },
}


def resolved(folder: Path, config: dict[str, Any], **options: Any) -> Path:
    """weights.json of a random model."""
    preprocess = {**PREPROCESS, "size": config["vision_cfg"]["image_size"]}
    checkpoint = save_checkpoint(folder / "c.safetensors", config, preprocess)
    resolve_weights(weights=folder / "weights.json", encoder="e", checkpoint=checkpoint, **options)
    return folder / "weights.json"


def test_every_row_of_the_table_is_a_module_with_its_family() -> None:
    assert [family.name for family in families()] == [*FAMILIES]
    assert families()[-1].misfit({}) is None and not families()[-1].parts
    assert SITES["class_token"].needs == CLASS_TOKEN == needed("encoder") and needed("labeller") == ()
    assert set(CLASS_TOKEN) == set(USUAL) and families()[0].parts == USUAL


@pytest.mark.parametrize(
    ("architecture", "family"),
    [
        ("ViT-B-32", "vision_transformer"),
        ("ViT-H-14-quickgelu", "vision_transformer"),
        ("ViT-B-16-SigLIP", "any_clip"),
        ("ViT-H-14-CLIPA", "any_clip"),
        ("coca_ViT-B-32", "any_clip"),
        ("RN50", "any_clip"),
        ("EVA02-B-16", "any_clip"),
    ],
)
def test_the_family_of_an_architecture(architecture: str, family: str) -> None:
    assert family_of(model_config(architecture)).name == family


@pytest.mark.parametrize("vision", [{"attentional_pool": True}, {"pool_type": "avg"}])
def test_other_pooling_is_refused(vision: dict[str, Any]) -> None:
    config = model_config("ViT-B-32")
    config["vision_cfg"].update(vision)
    with pytest.raises(RelianceError, match="pools"):
        check_parts(config, CLASS_TOKEN, "here", "mine")
    check_parts(config, (), "here", "mine")


def test_what_is_needed_is_checked_before_any_job() -> None:
    check_encoder("RN50-quickgelu", "openai", needs=())
    with pytest.raises(RelianceError, match=r"RN50-quickgelu: a ResNet(.|\n)*site: embedding"):
        check_encoder("RN50-quickgelu", "openai", needs=CLASS_TOKEN)
    with pytest.raises(RelianceError, match="a ResNet"):
        check_encoder("RN50-quickgelu", "openai", role="labeller", needs=CLASS_TOKEN)
    with pytest.raises(RelianceError, match="of a family without gears"):
        check_encoder("ViT-B-16", "datacomp_xl_s13b_b90k", needs=("gears",))


def test_a_tokenizer_that_is_not_there_is_said_at_any_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", without_transformers)
    with pytest.raises(RelianceError, match="pip install transformers"):
        check_encoder("ViT-B-16-SigLIP", "webli", needs=())


def without_transformers(name: str, *rest: Any, find: Any = importlib.util.find_spec) -> Any:
    """importlib.util.find_spec on a machine without that package."""
    return None if name == "transformers" else find(name, *rest)


def test_old_records_say_nothing_of_families(weights, tmp_path) -> None:
    """The id does not depend on what is recorded for today's models, and what was written before is read."""
    record, stamp = read_weights(weights)
    assert (record.family, record.parts) == ("vision_transformer", USUAL)
    kept = {name: value for name, value in record._asdict().items() if name not in ("family", "parts")}
    for role, parts in (("encoder", USUAL), ("labeller", {})):
        write_json(tmp_path / "old.json", {**kept, "role": role}, stamp)
        found, same = read_weights(tmp_path / "old.json")
        assert (found.family, found.parts, same.id) == ("", parts, stamp.id)


@pytest.mark.parametrize("name", OTHERS)
def test_any_clip_is_an_encoder_at_its_embedding(name: str, pictures, tmp_path) -> None:
    """x is z as the model gives it, the head is the identity, and the class token is refused."""
    weights = resolved(tmp_path, OTHERS[name], needs=())
    record, _ = read_weights(weights)
    assert (record.role, record.family, record.parts) == ("encoder", "any_clip", {})
    found = embed(tmp_path / "out", pictures, weights, site=embedding)
    _, rows = reference(pictures, weights)
    z = np.array([*rows.values()])
    np.testing.assert_allclose(found.read("x")[[*rows]], z, atol=1e-5 * np.abs(z).max())
    clip = load_model(weights)
    words = encode_prompts(clip.model, load_tokenizer(clip.weights), ["a cat", "a dog"])
    assert words.shape == (2, found.width) and z.std(0).max() > 0
    embedding.export_head(weights=weights, head=tmp_path / "head.safetensors")
    np.testing.assert_array_equal(project(z, load_head(tmp_path / "head.safetensors")[0]), z)
    with pytest.raises(RelianceError, match="family any_clip: "):
        class_token.export_head(weights=weights, head=tmp_path / "none.safetensors")
    with pytest.raises(RelianceError, match=r"encoders\.e\.architecture"):
        resolved(tmp_path, OTHERS[name])


def test_a_made_up_family_is_a_module_and_a_row(pictures, tmp_path, monkeypatch) -> None:
    """timm's transformers, whose norm and projection lie elsewhere, by the jobs of the paper's models."""
    (tmp_path / "made_up_family.py").write_text(MADE_UP)
    monkeypatch.syspath_prepend(tmp_path)
    rows = {"timm_token": "made_up_family", **FAMILIES}
    monkeypatch.setattr("reliance.encoders.families.table.FAMILIES", rows)
    usual = resolved(tmp_path, TOKEN, needs=())
    assert read_weights(usual)[0].family == "timm_token"
    weights = resolved(tmp_path, TOKEN)
    found = embed(tmp_path / "out", pictures, weights)
    assert found.site == "class_token" and found.layouts["x"].shape == (64,) and found.width == 12
    check_against_the_model(found, pictures, weights)
    class_token.export_head(weights=weights, head=tmp_path / "head.safetensors")
    head, _ = load_head(tmp_path / "head.safetensors")
    assert head.proj.shape == (64, 12) and head.eps == 1e-6
    with pytest.raises(RelianceError, match="no timm tower that pools by its class token; a ResNet"):
        check_parts(OTHERS["resnet"], CLASS_TOKEN, "here", "mine")
    assert family_of(CONFIG).name == "vision_transformer"


def check_against_the_model(found: Embeddings, pictures: Any, weights: Path) -> None:
    """z, which the head makes of x, is what the model gives."""
    _, rows = reference(pictures, weights)
    np.testing.assert_allclose(found.z_of(np.array([*rows])), list(rows.values()), atol=2e-5)


def test_the_id_covers_where_unusual_parts_are(tmp_path, monkeypatch) -> None:
    (tmp_path / "made_up_family.py").write_text(MADE_UP)
    monkeypatch.syspath_prepend(tmp_path)
    for name, config in (("token", TOKEN), ("usual", CONFIG)):
        resolved(tmp_path, config, needs=())
        (tmp_path / "c.safetensors").rename(tmp_path / f"{name}.safetensors")

    def ids() -> list[str]:
        found, path = [], tmp_path / "weights.json"
        for name in ("token", "usual"):
            file = tmp_path / f"{name}.safetensors"
            resolve_weights(weights=path, encoder="e", checkpoint=file, needs=())
            found.append(read_weights(path)[1].id)
        return found

    token, usual = ids()
    rows = {"timm_token": "made_up_family", **FAMILIES}
    monkeypatch.setattr("reliance.encoders.families.table.FAMILIES", rows)
    assert ids()[0] != token and ids()[1] == usual


@pytest.mark.parametrize(
    "entry",
    [
        *("reliance.encoders.weights:resolve_weights", "reliance.encoders.text:embed_text"),
        *(place.entry("embed_images") for place in SITES.values()),
        *(place.entry("export_head") for place in SITES.values() if not place.tail),
    ],
)
def test_no_job_reaches_a_family_or_their_table(entry: str) -> None:
    """So that a new row reruns nothing."""
    reached = reachable_modules(ROOT / "scripts/job.py", ROOT / "src", entry)
    assert not reached & {*FAMILIES.values(), "reliance.encoders.families.table"}
