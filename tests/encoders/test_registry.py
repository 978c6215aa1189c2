"""open_clip's tables, read without importing it."""

import importlib.machinery
import importlib.util
import json
import subprocess
import sys
import time
import types

import pytest

from reliance.base.errors import RelianceError
from reliance.encoders import registry
from reliance.encoders.registry import check_encoder, model_config, pretrained_config, tower_size

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
def test_models_without_a_class_token_are_refused_with_the_reason(
    architecture, pretrained, reason, monkeypatch
):
    monkeypatch.setitem(sys.modules, "transformers", fake_transformers())
    with pytest.raises(RelianceError, match=reason):
        check_encoder(architecture, pretrained)
    check_encoder(architecture, pretrained, role="labeller")


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


def write_header(path, metadata, length=None):
    header = json.dumps({"__metadata__": metadata}).encode()
    path.write_bytes((len(header) if length is None else length).to_bytes(8, "little") + header)
    return str(path)


def test_a_file_must_say_how_images_are_prepared(tmp_path):
    """What resolve_weights would find out later, found out from the header."""
    mean_std = {"mean": [0.5] * 3, "std": [0.5] * 3}
    silent = write_header(tmp_path / "silent.safetensors", {})
    pickled = tmp_path / "x.pt"
    pickled.write_bytes(b"anything")
    for file in (silent, str(pickled)):
        with pytest.raises(RelianceError, match=r"encoders.v.preprocess: (.|\n)*how images are prepared"):
            check_encoder("ViT-B-32", file=file, encoder="v")
        with pytest.raises(RelianceError, match="how images are prepared"):
            check_encoder("ViT-B-32", file=file, preprocess={"mean": [0.5] * 3, "std": None})
        with pytest.raises(RelianceError, match="needs an architecture"):
            check_encoder(None, file=file, preprocess=mean_std)
        check_encoder("ViT-B-32", file=file, preprocess=mean_std)
        check_encoder("ViT-B-32", "laion2b_s34b_b79k", file=file)
    half = {"architecture": json.dumps({"embed_dim": 2})}
    with pytest.raises(RelianceError, match="how images are prepared"):
        check_encoder(None, file=write_header(tmp_path / "half.safetensors", half))
    whole = {**half, "preprocess": json.dumps(mean_std)}
    check_encoder(None, file=write_header(tmp_path / "whole.safetensors", whole))
    (tmp_path / "open_clip_config.json").write_text("{}")
    check_encoder(None, file=silent)
    with pytest.raises(RelianceError, match=r"v.file: (.|\n)*without open_clip_model.safetensors"):
        check_encoder("hf-hub:owner/name", file=str(tmp_path), encoder="v")
    write_header(tmp_path / "open_clip_model.safetensors", {})
    check_encoder("hf-hub:owner/name", file=str(tmp_path))


@pytest.mark.parametrize("length", [0, 10**6, 2**63])
def test_a_header_that_is_none(tmp_path, length):
    file = write_header(tmp_path / "x.safetensors", {}, length)
    with pytest.raises(RelianceError, match=r"encoders.v: (.|\n)*does not start as a safetensors file"):
        check_encoder("ViT-B-32", "laion2b_s34b_b79k", file=file, encoder="v")


def fake_transformers():
    module = types.ModuleType("transformers")
    module.__spec__ = importlib.machinery.ModuleSpec("transformers", None)
    return module


def test_a_labeller_that_needs_transformers_says_so(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "transformers" else find(n, *a)
    )
    with pytest.raises(RelianceError, match=r"\Aencoders.l: (.|\n)*pip install transformers"):
        check_encoder("ViT-B-16-SigLIP", "webli", role="labeller", encoder="l")


def test_options_of_tokenizers_are_known_ones(monkeypatch):
    """Every architecture of open_clip passes; a config from elsewhere cannot ask for code to be run."""
    import open_clip

    monkeypatch.setitem(sys.modules, "transformers", fake_transformers())
    for name in open_clip.list_models():
        registry.check_tokenizer(model_config(name)["text_cfg"], name)
    for text in ({"hf_tokenizer_name": "o/n"}, {}):
        for option in ("trust_remote_code", "bpe_path", "cache_dir"):
            with pytest.raises(RelianceError, match=rf"tokenizer_kwargs(.|\n)*found:   {option}"):
                registry.check_tokenizer({**text, "tokenizer_kwargs": {option: True, "clean": "lower"}}, "e")


def test_files_and_preprocessing(tmp_path):
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


def test_weights_of_other_shapes_are_refused_from_the_header_alone(tmp_path):
    """The header of a safetensors file is enough; the file here has nothing behind it."""
    shapes = {
        "visual.class_embedding": [96],
        "visual.conv1.weight": [96, 3, 12, 12],
        "visual.proj": [96, 64],
        "token_embedding.weight": [49408, 64],
    }
    entries = {name: {"dtype": "F32", "shape": s, "data_offsets": [0, 0]} for name, s in shapes.items()}
    header = json.dumps({f"module.{name}": entry for name, entry in entries.items()}).encode()
    path = tmp_path / "small.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    known = {"mean": [0.5] * 3, "std": [0.5] * 3}
    with pytest.raises(RelianceError, match=r"visual.conv1.weight is \[96, 3, 12, 12\]") as caught:
        check_encoder("ViT-B-16", file=str(path), preprocess=known, encoder="mine")
    assert caught.value.where == "encoders.mine.architecture"


def test_sizes_of_image_towers_are_in_order():
    """ViT-B has 12 blocks of 12 * 768^2 weights; H/14 is the largest of the paper's."""
    assert tower_size("ViT-B-32") == tower_size("ViT-B-16") == 12 * 12 * 768**2 / 1e6
    assert tower_size("ViT-B-16") < tower_size("ViT-L-14") < tower_size("ViT-H-14")
    assert tower_size("RN50") == tower_size("") == tower_size("hf-hub:a/b") == 0
