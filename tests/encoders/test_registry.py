"""open_clip's tables, read without importing it."""

import subprocess
import sys
import time

import pytest

from reliance.encoders import registry
from reliance.encoders.registry import check_encoder, model_config, pretrained_config
from reliance.errors import RelianceError

PAPER = [
    ("ViT-B-32", "datacomp_m_s128m_b4k"),
    ("ViT-B-32-quickgelu", "laion400m_e32"),
    ("ViT-B-32", "laion2b_s34b_b79k"),
    ("ViT-B-32", "datacomp_xl_s13b_b90k"),
    ("ViT-B-16", "datacomp_xl_s13b_b90k"),
    ("ViT-L-14", "datacomp_xl_s13b_b90k"),
    ("ViT-L-14-336-quickgelu", "openai"),
    ("ViT-H-14-quickgelu", "dfn5b"),
]


def test_tables_are_open_clips():
    """The referee is the imported package."""
    import open_clip
    from open_clip import pretrained

    assert registry._pretrained() == pretrained._PRETRAINED
    for name in open_clip.list_models():
        assert model_config(name) == open_clip.get_model_config(name)


def test_another_layout_of_the_package_falls_back_to_importing_it(monkeypatch, tmp_path):
    from open_clip import pretrained

    (tmp_path / "constants.py").write_text("")
    (tmp_path / "pretrained.py").write_text("_PRETRAINED = load_table()\n")
    monkeypatch.setattr(registry, "_package", lambda: tmp_path)
    registry._pretrained.cache_clear()
    try:
        assert registry._pretrained() == pretrained._PRETRAINED
    finally:
        registry._pretrained.cache_clear()


@pytest.mark.parametrize(("architecture", "pretrained"), PAPER)
def test_the_papers_models_pass(architecture, pretrained):
    check_encoder(architecture, pretrained)


def test_a_labeller_may_be_anything():
    check_encoder("MobileCLIP-S2", "datacompdr", role="labeller")
    with pytest.raises(
        RelianceError, match=r"encoders.m.architecture(.|\n)*timm image tower(.|\n)*role: labeller"
    ):
        check_encoder("MobileCLIP-S2", "datacompdr", encoder="m")


@pytest.mark.parametrize(
    ("architecture", "pretrained", "right"),
    [
        ("ViT-B-32", "laion400m_e32", "ViT-B-32-quickgelu"),
        ("ViT-H-14", "dfn5b", "ViT-H-14-quickgelu"),
        ("ViT-L-14-336", "openai", "ViT-L-14-336-quickgelu"),
        ("ViT-B-32-quickgelu", "laion2b_s34b_b79k", "ViT-B-32"),
        ("ViT-B-32", "LAION400M-E32", "ViT-B-32-quickgelu"),
    ],
)
def test_the_wrong_activation_names_the_right_architecture(architecture, pretrained, right):
    with pytest.raises(RelianceError, match="activation function") as error:
        check_encoder(architecture, pretrained, encoder="v")
    assert error.value.allowed == right and error.value.where == "encoders.v.architecture"


@pytest.mark.parametrize(
    ("architecture", "pretrained", "where", "hint"),
    [
        ("ViT-B-33", "openai", "encoders.v.architecture", "ViT-B-32"),
        ("../../etc/passwd", "openai", "encoders.v.architecture", "in all"),
        ("ViT-B-32", "laion2b", "encoders.v.pretrained", "laion2b_s34b_b79k"),
        ("ViT-B-16", "datacomp_m_s128m_b4k", "encoders.v.pretrained", "it exists for ViT-B-32"),
        ("ViT-e-14", "openai", "encoders.v.pretrained", "no weights for this architecture"),
    ],
)
def test_unknown_names_list_the_nearest(architecture, pretrained, where, hint):
    with pytest.raises(RelianceError) as error:
        check_encoder(architecture, pretrained, encoder="v")
    assert error.value.where == where and hint in str(error.value)


@pytest.mark.parametrize(
    ("architecture", "pretrained", "reason"),
    [
        ("ViT-B-16-SigLIP", "webli", "a timm image tower"),
        ("coca_ViT-B-32", "laion2b_s13b_b90k", "a CoCa model"),
        ("RN50-quickgelu", "openai", "a ResNet"),
        ("convnext_base", "laion400m_s13b_b51k", "a timm image tower"),
    ],
)
def test_models_without_a_class_token_are_refused_with_the_reason(architecture, pretrained, reason):
    with pytest.raises(RelianceError, match=reason):
        check_encoder(architecture, pretrained)
    check_encoder(architecture, pretrained, role="labeller")


@pytest.mark.parametrize("vision", [{"attentional_pool": True}, {"pool_type": "avg"}])
def test_other_pooling_is_refused(vision):
    config = model_config("ViT-B-32")
    config["vision_cfg"].update(vision)
    with pytest.raises(RelianceError, match="pools"):
        registry.check_class_token(config, "here", "mine")


@pytest.mark.parametrize(
    "entry",
    [
        {"architecture": None},
        {"architecture": "ViT-B-32"},
        {"architecture": None, "random": True},
        {"architecture": "ViT-B-32", "random": True, "pretrained": "openai"},
        {"architecture": "hf-hub:owner/name", "pretrained": "openai"},
    ],
)
def test_contradictions_between_sources(entry):
    with pytest.raises(RelianceError, match="one source of weights"):
        check_encoder(**entry)


def test_files_and_preprocessing(tmp_path):
    check_encoder(None, file=str(tmp_path))
    check_encoder("hf-hub:yyupenn/whylesionclip")
    check_encoder("ViT-B-32", random=True, preprocess={"size": 224, "mean": [0, 0, 0]})
    with pytest.raises(RelianceError, match="no such file"):
        check_encoder("ViT-B-32", file=str(tmp_path / "none.pt"))
    with pytest.raises(RelianceError, match="found:   resize"):
        check_encoder("ViT-B-32", random=True, preprocess={"resize": "squash"})


def test_a_tags_entry_brings_its_preprocessing():
    assert pretrained_config("ViT-H-14-quickgelu", "dfn5b")["resize_mode"] == "squash"
    assert pretrained_config("ViT-L-14", "laion2b_s32b_b82k")["mean"] == (0.5, 0.5, 0.5)


def test_checking_is_quick_and_imports_no_torch():
    code = (
        "import sys, time; start = time.perf_counter();"
        "from reliance.encoders.registry import check_encoder;"
        "check_encoder('ViT-H-14-quickgelu', 'dfn5b');"
        "assert not {'torch', 'open_clip', 'huggingface_hub'} & set(sys.modules);"
        "print(time.perf_counter() - start)"
    )
    began = time.perf_counter()
    out = subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": "src"}, capture_output=True, text=True
    )
    assert float(out.stdout) < 0.3 + (time.perf_counter() - began) / 2  # 0.04 s on an idle machine
