"""Every proposal passes the models of the configuration, whatever the folder."""

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from reliance.__main__ import app
from reliance.base.errors import RelianceError
from reliance.config.resolve import load, resolve
from reliance.explore.propose import SHIPPED, _merged, propose, sizes
from reliance.images.foresight import Needs, proposal


def folder(root, *files):
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def merged(proposal):
    return load(_merged(yaml.safe_load(SHIPPED.read_text()), yaml.safe_load(proposal.text)))


FOLDERS = {
    "classes": [f"{name}/{i}.jpg" for name in ("cat", "dog") for i in range(5)],
    "splits": [
        f"{split}/{name}/{i}.jpg" for split in ("train", "val") for name in ("a", "b") for i in range(3)
    ],
    "flat": [f"{i}.jpg" for i in range(8)],
    "imagenet": [
        f"{s}/{w}/{i}.JPEG" for s in ("train", "val") for w in ("n01440764", "n01443537") for i in "ab"
    ],
    "odd names": [f"{name}/{i}.jpg" for name in ("a: b {c}", 'quo"te\\', "# x") for i in "12"],
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_proposal_passes_the_models(tmp_path, name):
    root = folder(tmp_path / 'My "Photos": 2024 # {x}', *FOLDERS[name])
    proposal = propose(root, "vit_b16")
    config = merged(proposal)
    assert proposal.variant == "my_photos_2024_x"
    own = resolve(config, proposal.variant)
    assert (own.encoder, own.labeller, own.sae.m) == ("vit_b16", "mobileclip_s2", 16)
    data = config.datasets[own.dataset]
    assert data.root == str(root) and data.layout == ("imagenet" if name == "imagenet" else "folder")
    assert (data.split is not None) == (name in ("classes", "flat", "odd names"))


def test_what_was_seen_is_said(tmp_path):
    saw = "\n".join(propose(folder(tmp_path / "birds", *FOLDERS["classes"]), "vit_b16").saw)
    assert "10 images below" in saw and "2 classes with 5 images each: cat, dog" in saw
    assert re.search(r"train \d, test \d \(test is divided off\)", saw)


def test_an_encoder_may_be_one_of_open_clip(tmp_path):
    proposal = propose(folder(tmp_path / "birds", *FOLDERS["flat"]), "ViT-B-32:laion2b_s34b_b79k")
    assert merged(proposal).encoders["birds"].pretrained == "laion2b_s34b_b79k"


@pytest.mark.parametrize("encoder", ["demo", "vit_b17", "a b:c", ""])
def test_another_encoder_is_told(tmp_path, encoder):
    with pytest.raises(RelianceError, match="vit_b16"):
        propose(folder(tmp_path / "birds", *FOLDERS["flat"]), encoder)


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(RelianceError, match="no image"):
        propose(tmp_path, "vit_b16")
    with pytest.raises(RelianceError, match="existing folder"):
        propose(tmp_path / "nowhere", "vit_b16")


@pytest.mark.parametrize("files", [["a/1.jpg", "b/1.jpg"], ["1.jpg"]])
def test_one_image_each_is_no_data_set(tmp_path, files):
    with pytest.raises(RelianceError, match=r"[12] to train on, 0 to test on"):
        propose(folder(tmp_path / "birds", *files), "vit_b16")


def test_settings_that_few_images_ask_for(tmp_path):
    few = propose(folder(tmp_path / "few", *(f"{k}/{i}.jpg" for k in "ab" for i in range(15))), "vit_b16")
    config = merged(few)
    assert (config.naming.min_active, config.naming.top_n) == (2, 2)
    assert 2 <= config.faithfulness.subsets <= 5
    assert resolve(config, "few").failures.min_samples == 2
    flat = propose(folder(tmp_path / "flat", *(f"{i}.jpg" for i in range(30))), "vit_b16")
    assert not {"min_samples", "failures", "faithfulness"} & set(re.findall(r"^ *(\w+):", flat.text, re.M))
    assert merged(flat).datasets["flat"].vocabulary == "general"


def test_weights_of_ones_own(tmp_path):
    own = folder(tmp_path / "my clip", "open_clip_model.safetensors")
    with pytest.raises(RelianceError, match="safetensors"):
        propose(folder(tmp_path / "birds", *FOLDERS["flat"]), str(own))
    (own / "open_clip_model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (own / "open_clip_config.json").write_text('{"model_cfg": {}}')
    found = merged(propose(folder(tmp_path / "birds", *FOLDERS["flat"]), str(own)))
    assert found.encoders["my_clip"].file == str(own)
    assert (found.variants["birds"].encoder, found.variants["birds"].labeller) == ("my_clip", "my_clip")


def test_a_folder_that_lies_here_is_recognised(tmp_path, monkeypatch):
    monkeypatch.chdir(folder(tmp_path, "my_clip/open_clip_config.json"))
    with pytest.raises(RelianceError, match=r"a folder of that name is here: write \./my_clip"):
        propose(folder(tmp_path / "birds", *FOLDERS["flat"]), "my_clip")
    with pytest.raises(RelianceError, match="a folder of open_clip"):
        propose(tmp_path / "birds", "./my_clop")


def test_a_name_that_is_taken_is_another(tmp_path):
    assert propose(folder(tmp_path / "imagenet", *FOLDERS["flat"]), "vit_b16").variant == "my_imagenet"
    assert propose(folder(tmp_path / "0", *FOLDERS["flat"]), "vit_b16").variant == "my_0"


@given(images=st.integers(1, 10**8))
def test_sizes_grow_with_the_images(images):
    found, more = sizes(images), sizes(2 * images)
    assert 16 <= found.m <= more.m <= 30_000 and 4 <= found.k <= more.k <= 64
    assert found.k <= max(4, found.m // 8)
    assert found.m <= 64 or found.m * 20 <= images
    assert found.m == 16 or found.m * 25 <= images * 4


def test_sizes_are_those_of_the_demo_and_of_imagenet():
    assert sizes(11_000)[:2] == (512, 5)
    assert sizes(1_281_167)[:2] == (30_000, 62) or sizes(1_281_167).k == 64


def test_the_command_writes_what_it_prints(tmp_path):
    root, out = folder(tmp_path / "birds", *FOLDERS["classes"]), tmp_path / "mine.yaml"
    done = CliRunner().invoke(app, ["init", str(root), "--encoder", "vit_b16", "-o", str(out)])
    assert done.exit_code == 0 and f"--configfile {out}" in done.stdout
    printed = CliRunner().invoke(app, ["init", str(root), "--encoder", "vit_b16"])
    assert printed.stdout == out.read_text() + "\n" and "2 classes" in printed.stderr
    record = json.loads(CliRunner().invoke(app, ["init", str(root), "--encoder", "vit_b16", "--json"]).stdout)
    assert record["config"] == out.read_text()


def test_what_is_proposed_is_not_found_too_large(tmp_path):
    """The settings for a folder are those that the pipeline finds to fit it."""
    for images in (24, 186, 400):
        root = folder(tmp_path / f"of_{images}", *(f"{i}.jpg" for i in range(images)))
        sae = resolve(merged(propose(root, "vit_b16")), f"of_{images}").sae
        train = round(images * 0.8)
        asked = Needs(m=sae.m, k=sae.k, batch_size=sae.batch_size)
        assert not proposal(train, images - train, asked)


def test_a_file_that_is_there_is_kept_and_a_folder_that_is_not_is_told(tmp_path):
    root, out = folder(tmp_path / "birds", *FOLDERS["classes"]), tmp_path / "mine.yaml"
    out.write_text("mine")
    asked = ["init", str(root), "--encoder", "vit_b16", "-o"]
    done = CliRunner().invoke(app, [*asked, str(out)])
    assert done.exit_code == 1 and "--force" in done.stderr and out.read_text() == "mine"
    assert CliRunner().invoke(app, [*asked, str(out), "--force"]).exit_code == 0
    assert out.read_text() != "mine"
    done = CliRunner().invoke(app, [*asked, str(tmp_path / "nowhere/mine.yaml")])
    assert done.exit_code == 1 and "no folder" in done.stderr and not (tmp_path / "nowhere").exists()


def test_the_command_is_one_that_is_found(tmp_path, monkeypatch):
    proposal = propose(folder(tmp_path / "birds", *FOLDERS["flat"]), "vit_b16")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/snakemake").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.prefix", str(tmp_path / ".venv"))
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert proposal.command("a b.yaml").startswith(".venv/bin/snakemake --cores 2 results/birds/report.html")
    assert proposal.command("a b.yaml").endswith("--configfile 'a b.yaml'")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert proposal.command("x.yaml").startswith("snakemake --cores 2")
