"""From a config entry to weights that fit, or to an error: never to other weights."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from reliance.base.artifacts import hash_file
from reliance.base.errors import RelianceError
from reliance.encoders import weights as stage
from reliance.encoders.fetch import FetchError
from reliance.encoders.model import build_random, load_model, load_tokenizer, read_weights
from reliance.encoders.weights import resolve_weights

from .conftest import CONFIG, PREPROCESS, save_checkpoint, variant


@pytest.fixture
def resolve(tmp_path):
    """resolve(...) runs the stage and gives (record, stamp, path)."""

    def run(**settings):
        path = tmp_path / "weights.json"
        resolve_weights(weights=path, encoder="mine", **settings)
        return (*read_weights(path), path)

    return run


def test_a_planted_checkpoint_says_everything_itself(resolve, checkpoint):
    record, stamp, path = resolve(checkpoint=checkpoint)
    assert record.config == CONFIG and record.architecture == "from-file" and not record.random
    assert record.preprocess == {**PREPROCESS, "interpolation": "bicubic", "fill_color": 0}
    assert record.sha256 == hash_file(checkpoint) and record.path == str(checkpoint)
    clip = load_model(path)
    for name, tensor in load_file(checkpoint).items():
        assert torch.equal(clip.model.state_dict()[name], tensor), name
    assert clip.stamp == stamp and not clip.model.training
    assert not any(p.requires_grad for p in clip.model.parameters())
    assert load_tokenizer(record)(["a b"]).shape == (1, 8)


def test_identity_covers_weights_config_and_preprocessing(resolve, checkpoint, tmp_path):
    first = resolve(checkpoint=checkpoint)[1].id
    assert resolve(file=str(checkpoint))[1].id == first
    assert resolve(file=str(checkpoint), preprocess={"mean": [0.0, 0.0, 0.0]})[1].id != first
    other = save_checkpoint(tmp_path / "other.safetensors", seed=1)
    assert resolve(file=str(other))[1].id != first


def test_a_file_that_changed_or_went_away_is_not_loaded(resolve, tmp_path):
    file = save_checkpoint(tmp_path / "x.safetensors")
    _, _, path = resolve(file=str(file))
    save_checkpoint(file, seed=1)
    with pytest.raises(RelianceError, match=r"is the one that was recorded(.|\n)*encoders.mine.file"):
        load_model(path)
    file.unlink()
    with pytest.raises(RelianceError, match="no such file"):
        load_model(path)


@pytest.mark.parametrize("form", ["safetensors", "pt", "lightning", "half"])
def test_local_files_of_a_known_architecture(resolve, tiny_architecture, tmp_path, form):
    state = build_random(CONFIG, 3).state_dict()
    file = tmp_path / ("x.safetensors" if form == "safetensors" else "x.pt")
    if form == "safetensors":
        save_file(state, file)
    elif form == "pt":
        torch.save(state, file)
    elif form == "half":
        torch.save({k: v.half() for k, v in state.items()}, file)
    else:
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, file)
    record, _, path = resolve(architecture="Tiny", pretrained="t", file=str(file))
    assert record.preprocess["mean"] == [0.1] * 3 and record.preprocess["interpolation"] == "bilinear"
    loaded = load_model(path).model.state_dict()
    assert {v.dtype for v in loaded.values()} == {torch.float32}
    for name, tensor in state.items():
        wanted = tensor.half().float() if form == "half" else tensor
        assert torch.equal(loaded[name], wanted), name


def test_a_file_without_preprocessing_asks_for_it(resolve, tiny_architecture, tmp_path):
    save_file(build_random(CONFIG, 3).state_dict(), tmp_path / "x.safetensors")
    entry = {"architecture": "Tiny", "file": str(tmp_path / "x.safetensors")}
    with pytest.raises(RelianceError, match=r"encoders.mine.preprocess(.|\n)*or `pretrained` with the tag"):
        resolve(**entry)
    explicit = {"size": 24, "mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"}
    assert resolve(**entry, preprocess=explicit)[0].preprocess["resize_mode"] == "squash"
    with pytest.raises(RelianceError, match=r"encoders.mine.preprocess.size(.|\n)*allowed: 24"):
        resolve(**entry, preprocess={**explicit, "size": 32})


def test_a_file_without_architecture_asks_for_it(resolve, tmp_path):
    save_file(build_random(CONFIG, 3).state_dict(), tmp_path / "x.safetensors")
    with pytest.raises(RelianceError, match=r"encoders.mine.architecture(.|\n)*needs an architecture"):
        resolve(file=str(tmp_path / "x.safetensors"))


def test_a_file_that_names_another_architecture(resolve, tiny_architecture, tmp_path):
    other = save_checkpoint(tmp_path / "x.safetensors", variant(layers=1))
    with pytest.raises(RelianceError, match="names its own architecture"):
        resolve(architecture="Tiny", file=str(other))


def test_a_downloaded_hub_folder(resolve, tmp_path):
    save_file(build_random(CONFIG, 3).state_dict(), tmp_path / "open_clip_model.safetensors")
    preprocess = {"size": 24, "mean": [0.2] * 3, "std": [0.3] * 3, "mode": "RGB"}
    record = {"model_cfg": CONFIG, "preprocess_cfg": preprocess}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(record))
    found = resolve(architecture="hf-hub:owner/name", file=str(tmp_path))[0]
    assert found.config == CONFIG and found.preprocess["mean"] == [0.2] * 3
    assert found.path == str(tmp_path / "open_clip_model.safetensors")
    assert resolve(file=str(tmp_path / "open_clip_model.safetensors"))[0].config == CONFIG


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("visual.proj"), "1 missing: visual.proj"),
        (lambda s: s.update({"visual.extra": torch.zeros(1)}), "1 unexpected: visual.extra"),
        (
            lambda s: s.update({"visual.proj": torch.zeros(32, 13)}),
            r"visual.proj (is )?\[32, 13\] (instead of|in .* and) \[32, 12\]",
        ),
        (
            lambda s: s.update({"visual.positional_embedding": torch.zeros(18, 32)}),
            r"visual.positional_embedding \[18, 32\] instead of \[10, 32\]",
        ),
        (lambda s: s.update({"positional_embedding": torch.zeros(77, 16)}), "positional_embedding"),
    ],
)
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_state_that_does_not_fit_is_refused_by_name_and_shape(
    resolve, tiny_architecture, tmp_path, change, message, suffix
):
    """Position embeddings too, unless they are of a square grid of patches."""
    state = build_random(CONFIG, 3).state_dict()
    change(state)
    file = tmp_path / f"x.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, file)
    with pytest.raises(RelianceError, match=message) as error:
        resolve(architecture="Tiny", pretrained="t", file=str(file))
    assert "encoders.mine." in str(error.value) and str(file) in str(error.value)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_position_embeddings_of_another_grid_are_interpolated_and_said(
    resolve, tiny_architecture, tmp_path, caplog, suffix
):
    """The class token's is untouched; bicubic, by torch itself."""
    state = build_random(CONFIG, 3).state_dict()
    grid = torch.randn(25, 32, generator=torch.Generator().manual_seed(0))
    state["visual.positional_embedding"] = torch.cat([torch.full((1, 32), 7.0), grid])
    file = tmp_path / f"x.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, file)
    path = resolve(architecture="Tiny", pretrained="t", file=str(file))[-1]
    assert "position embeddings of 5 x 5 patches are interpolated to 3 x 3" in caplog.text
    found = load_model(path).model.visual.positional_embedding
    planes = grid.T.reshape(1, 32, 5, 5)
    wanted = torch.nn.functional.interpolate(planes, (3, 3), mode="bicubic", antialias=True)
    torch.testing.assert_close(found[1:], wanted.reshape(32, 9).T)
    assert (found[0] == 7).all()


class Malicious:
    """A pickle that would run a command."""

    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("kind", ["cut", "text", "empty", "pickle", "number"])
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_damaged_files_and_pickles_end_in_one_error(
    resolve, tiny_architecture, tmp_path, capsys, kind, suffix
):
    state = build_random(CONFIG, 3).state_dict()
    file = tmp_path / f"x.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, file)
    if kind == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    elif kind in ("text", "empty"):
        file.write_bytes(b"<html>404</html>" if kind == "text" else b"")
    else:
        torch.save({"a": Malicious()} if kind == "pickle" else 7, file)
    with pytest.raises(RelianceError, match=r"encoders\.mine\.file"):
        resolve(architecture="Tiny", pretrained="t", file=str(file))
    assert "executed" not in capsys.readouterr().out
    assert not (tmp_path / "weights.json").exists()


@pytest.mark.parametrize(
    "entry",
    [
        {"architecture": "ViT-B-32", "pretrained": "laion2b_s34b_b79k"},
        {"architecture": "hf-hub:yyupenn/whylesionclip"},
    ],
)
def test_no_network_ends_in_one_error_that_names_the_way_out(resolve, monkeypatch, entry, tmp_path):
    def offline(repository, names):
        raise FetchError("ConnectError: [Errno -2] Name or service not known")

    monkeypatch.setattr(stage, "hub_file", offline)
    with pytest.raises(RelianceError) as error:
        resolve(**entry)
    for part in ("Name or service not known", "encoders.mine.file: PATH", "huggingface.co/"):
        assert part in str(error.value)
    assert not (tmp_path / "weights.json").exists()


def test_a_tag_and_a_hub_model_that_can_be_fetched(resolve, tiny_architecture, monkeypatch, tmp_path):
    save_file(build_random(CONFIG, 3).state_dict(), tmp_path / "open_clip_model.safetensors")
    record = {"model_cfg": CONFIG, "preprocess_cfg": {"mean": [0.2] * 3, "std": [0.3] * 3}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(record))
    asked = []

    def fetch(repository, names):
        asked.append((repository, names[0]))
        return tmp_path / names[0]

    monkeypatch.setattr(stage, "hub_file", fetch)
    assert resolve(architecture="Tiny", pretrained="t")[0].preprocess["mean"] == [0.1] * 3
    found = resolve(architecture="hf-hub:owner/name")[0]
    assert found.architecture == "hf-hub:owner/name" and found.preprocess["mean"] == [0.2] * 3
    assert asked == [
        ("o/tiny", "open_clip_model.safetensors"),
        ("owner/name", "open_clip_config.json"),
        ("owner/name", "open_clip_model.safetensors"),
    ]


def test_the_activation_of_a_local_copy_is_checked_too(resolve, tiny_architecture, checkpoint):
    with pytest.raises(RelianceError, match="activation function"):
        resolve(architecture="Tiny", pretrained="q", file=str(checkpoint))


def test_random_weights_only_when_asked_and_by_seed(resolve, tiny_architecture):
    record, stamp, path = resolve(architecture="Tiny", random=True, seed=5)
    assert record.random and record.seed == 5 and record.path == "" and record.sha256 == ""
    before = torch.random.get_rng_state()
    first = load_model(path).model.state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(1)  # whatever else draws numbers
    second = load_model(path).model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    _, other, path = resolve(architecture="Tiny", random=True, seed=6)
    assert other.id != stamp.id
    assert not torch.equal(first["visual.proj"], load_model(path).model.state_dict()["visual.proj"])


@pytest.mark.parametrize("vision", [{"attentional_pool": True, "attn_pooler_heads": 2}, {"pool_type": "avg"}])
def test_a_file_whose_model_has_no_class_token(resolve, tmp_path, vision):
    file = save_checkpoint(tmp_path / "x.safetensors", variant(**vision))
    with pytest.raises(RelianceError, match="a class token, ln_post and proj"):
        resolve(file=str(file))
    assert resolve(file=str(file), role="labeller")[0].role == "labeller"


def test_custom_text_variants_load(resolve, tmp_path):
    file = save_checkpoint(tmp_path / "x.safetensors", {**CONFIG, "custom_text": True})
    _, _, path = resolve(file=str(file))
    assert type(load_model(path).model).__name__ == "CustomTextCLIP"


def test_tokenizer_options_are_checked_before_anything_is_fetched_or_run(resolve, tmp_path):
    options = {"hf_tokenizer_name": "owner/name", "tokenizer_kwargs": {"trust_remote_code": True}}
    config = {**CONFIG, "text_cfg": {**CONFIG["text_cfg"], **options}}
    file = save_checkpoint(tmp_path / "x.safetensors", CONFIG)
    record = resolve(file=str(file))[0]
    with pytest.raises(RelianceError, match=r"encoders.mine: (.|\n)*found:   trust_remote_code"):
        load_tokenizer(record._replace(config=config))
    save_file(
        load_file(file), file, {"architecture": json.dumps(config), "preprocess": json.dumps(PREPROCESS)}
    )
    with pytest.raises(RelianceError, match="trust_remote_code"):
        resolve(file=str(file))


def test_cuda_where_there_is_none(resolve, checkpoint):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    _, _, path = resolve(checkpoint=checkpoint)
    with pytest.raises(RelianceError, match="torch sees no GPU"):
        load_model(path, "cuda")
    assert load_model(path, "auto").device.type == "cpu"
