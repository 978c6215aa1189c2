"""Every benchmark still runs, at a tiny size; what it measures is not looked at."""

import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
TINY = [
    *["--d", "24", "--p", "12", "--m", "200", "--k", "8"],
    *["--classes", "10", "--rounds", "1", "--threads", "1"],
]
ABSENT = ("pandas", "pyarrow", "zarr", "scipy", "sklearn", "PIL", "open_clip", "tqdm", "yaml", "matplotlib")
IMPORTS = """
import importlib.util, sys
sys.path[:0] = [{benchmarks!r}]
find = importlib.util.find_spec
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
importlib.util.find_spec = lambda name: None if name in {absent} else find(name)
import {module}
{module}.main({arguments})
"""


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PYTHONPATH", f"{BENCHMARKS}:{ROOT / 'src'}")


def said(name: str, *arguments: str) -> str:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_embedding(tmp_path: Path) -> None:
    from tests.encoders.conftest import save_checkpoint

    checkpoint = save_checkpoint(tmp_path / "tiny.safetensors")
    sizes = ["--images", "6", "--batch-size", "2", "--workers", "0", "--threads", "1", "--rounds", "1"]
    text = said("embedding", "--checkpoint", str(checkpoint), *sizes)
    assert re.search(r"cosine of attributions 0\.9", text)


@pytest.mark.parametrize("photographs", [False, True])
def test_jpeg_decoding(tmp_path: Path, photographs: bool) -> None:
    from PIL import Image
    from tests.encoders.conftest import save_checkpoint

    checkpoint = save_checkpoint(tmp_path / "tiny.safetensors")
    for name, side in {"a/1.JPEG": 300, "a/2.jpg": 20, "b/3.jpeg": 200, "c.png": 300}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.effect_noise((side, side), 50).convert("RGB").save(tmp_path / name)
    sizes = ["--images", "2", "--batch-size", "2", "--threads", "1"]
    folder = ["--folder", str(tmp_path), "--images", "9"] if photographs else []
    text = said("embedding", "--checkpoint", str(checkpoint), "--jpeg", "reduced", *sizes, *folder)
    count = "0 of 3 +2 of 3 +2 of 3" if photographs else "0 of 2 +2 of 2 +2 of 2"
    assert re.search(f"decoded smaller; of these: +{count}", text)
    assert re.search(r"preprocessed pixels\S* .* 0\.9", text)


def test_attribution() -> None:
    text = said("attribution", *TINY, "--images", "80", "--stage-images", "80")
    differences = [float(x) for x in re.search(r"to autograd (\S+), to deletion (\S+)", text).groups()]
    assert max(differences) < 1e-4
    assert "mine_outliers" in text


def test_asking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # where it makes its variant
    monkeypatch.delenv("PYTHONPATH")
    text = said("asking", "--images", "200", "--units", "50", "--classes", "10", "--k", "4", "--rounds", "1")
    asked = r"^(?:explain|show|find|images|cases|classes) .*\d\.\d\d$"
    assert len(re.findall(asked, text, re.MULTILINE)) == 8


def test_atlas() -> None:
    text = said("atlas", "--images", "300", "--cases", "3", "--pictures", "3", *TINY)
    assert re.search(r"first view MB +0\.\d+\nin all MB +\d", text)


def test_scaling() -> None:
    text = said("scaling", *TINY, "--images", "40")
    assert all(name in text for name in ("encode", "top_samples", "expectations", "400,000,000"))


def test_sae_training() -> None:
    sizes = ["--images", "1100", "--d", "16", "--m", "64", "--k", "4", "--atoms", "40", "--threads", "1"]
    assert "30 steps of 1024 images" in said("sae_training", *sizes)


def test_fitted_lines() -> None:
    fit = importlib.import_module("scaling").fit
    line = fit([1, 2, 4], [5, 7, 11])
    assert (round(line.start, 6), round(line.slope, 6), round(line.linear, 6)) == (3, 2, 1)
    assert line.at(10) == pytest.approx(23)


def test_mining_with_families_is_held_against_mining_without() -> None:
    text = said("attribution", "--families", *TINY, "--stage-images", "200")
    stages = ("attribute_subset", "expectations", "mine_outliers", "mine_families")
    assert all(re.search(rf"^{name} +\d", text, re.MULTILINE) for name in stages)
    assert re.search(r"^mine_families over attribute_subset .*: \d\.\d+ of seconds", text, re.MULTILINE)


def test_latents_of_a_made_family_fire_together() -> None:
    import numpy as np

    world = importlib.import_module("made").Kindred(60, 4, 8, 4, 400, 16)
    indices = world.code(0, 60)[1]
    assert all(len(set(row)) == 16 for row in indices.tolist())
    _, members = np.unique(world.levels[world.levels >= 0], return_counts=True)
    assert members.min() == 2 and members.max() <= 50
    for level in world.levels:
        sizes = [np.unique(row[row >= 0], return_counts=True)[1].max(initial=0) for row in level[indices]]
        assert np.mean(np.array(sizes) > 1) > 0.5


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("codes", ["--images", "64", "--sorted-images", "500", "--top-images", "300"]),
        ("attribution", ["--images", "80"]),
    ],
)
def test_torch_numpy_and_safetensors_are_enough(module: str, arguments: list[str]) -> None:
    code = IMPORTS.format(
        benchmarks=str(BENCHMARKS), absent=ABSENT, module=module, arguments=[*TINY, *arguments]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ours over it" in done.stdout


OTHERS = {"overcomplete": "overcomplete", "sae-lens": "sae_lens"}
ONE_STEP = ["--batch", "16", "--d", "24", "--m", "200", "--k", "8", "--rounds", "1", "--threads", "1"]


def check_others(text: str, absent: set[str]) -> None:
    assert re.search(r"\nours, fp32 .* 1\.00 +1\.00\nours, bf16 ", text)
    assert {name for name in OTHERS if f"\n{name} is not installed: left out" in text} == absent
    rows = re.findall(r"^(?:overcomplete|SAELens), .*\d\.\d\d$", text, re.MULTILINE)
    assert len(rows) == 2 * (len(OTHERS) - len(absent))


def test_other_packages() -> None:
    absent = {name for name, module in OTHERS.items() if importlib.util.find_spec(module) is None}
    check_others(said("sae_others", *ONE_STEP), absent)


def test_other_packages_are_optional() -> None:
    absent = (*OTHERS.values(), *ABSENT)
    code = IMPORTS.format(benchmarks=str(BENCHMARKS), absent=absent, module="sae_others", arguments=ONE_STEP)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    check_others(done.stdout, set(OTHERS))


def test_imports_and_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    startup = importlib.import_module("startup")
    startup.imports(2)
    startup.jobs(1)
    text = capsys.readouterr().out
    assert re.search(r"\n\w+ .*\d\.\d\d +\d", text)
    assert "a job that does nothing" in text
    assert len(startup.targets(100)) > 100


def test_layouts() -> None:
    text = said("layouts", "--images", "8", "--rounds", "1")
    assert all(re.search(rf"{name} .*\d", text) for name in ("files", "shards", "zip", "parquet", "packed"))


def test_sites(tmp_path: Path) -> None:
    from tests.encoders.conftest import variant

    model = tmp_path / "model.json"
    model.write_text(json.dumps(variant(layers=3)))
    text = said("sites", "--model", str(model), "--images", "3", "--k", "4", "--rounds", "1")
    assert re.search(r"two sites in one pass: \d+\.\d+ of one", text)


def test_planning_says_no_less_than_it_takes() -> None:
    """Bytes per image are what is planned, but for the last chunk and small files; memory is within it."""
    text = said("planning", "--images", "16384", "--threads", "1")
    rows = [
        re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if re.match(r"embed|encode", line)
    ]
    assert len(rows) == 2
    for _, planned, measured, asked, needed in rows:
        assert float(planned) <= float(measured) < 1.1 * float(planned) + 2
        assert float(needed) < float(asked)


def test_lens() -> None:
    tiny = ["--size", "small", "--images", "2", "--rounds", "1", "--threads", "1"]
    found = said("lens", *tiny, "--directions", "20", "--texts", "100", "--m", "3")
    assert "in plain passes" in found and "maps of 10 prompts" in found


def test_families() -> None:
    sizes = ["--images", "400", "--m", "60", "--k", "8", "--d", "24", "--labeller", "32", "--threads", "1"]
    assert "the concept is the family of 100.0% of the units" in said("families", *sizes)


def merged(into: dict, keys: dict) -> None:
    """As Snakemake merges --config."""
    for name, value in keys.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merged(into[name], value)
        else:
            into[name] = value


PLANTED = [("planted_sites", "settings"), ("planted_repair", "configured"), ("planted_lens", "settings")]


@pytest.mark.parametrize("name, entry", PLANTED)
def test_planted_worlds_are_configured(name: str, entry: str) -> None:
    import yaml

    from reliance.config.resolve import load, resolve

    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    entries = getattr(importlib.import_module(name), entry)(7)
    for key, value in (entry.split("=", 1) for entry in entries):
        merged(raw[key], yaml.safe_load(value))
    config = load(raw)
    if name == "planted_sites":
        own = [f"at_{site}" for site in ("class_token", "embedding", "patches_first_block")]
        assert [resolve(config, v).site for v in own] == ["class_token", "embedding", "block-2-patches"]
    elif name == "planted_lens":
        deep = resolve(config, "deep")
        assert deep.lens.layers == (0, 1, 2) and config.encoders[deep.encoder].training.blocks == 4
    else:
        assert (resolve(config, "k16").sae.k, resolve(config, "m2048").sae.m) == (16, 2048)


def test_peers_find_what_scores_like_a_class() -> None:
    import numpy as np

    peers = importlib.import_module("peers")
    g = np.random.default_rng(0)
    centres = np.linalg.qr(g.normal(size=(12, 12)))[0]
    part = np.repeat(np.arange(8), 40)
    unit = peers.lengthened(centres[part] + 0.1 * g.normal(size=(320, 12)))
    label = np.repeat(np.arange(4), 80)  # two parts each
    above = np.zeros((320, 4), bool)
    above[label == 0, 0] = above[part == 5, 0] = True  # half of the third class scores like the first
    seen = peers.Seen(unit, label, above, unit, centres)
    for found in (peers.sliced(seen, 0), peers.worded(seen, 0)):
        score, images = max(found, key=lambda pair: pair[0])
        assert score > 0 and set(images) <= set(np.flatnonzero(part == 5)) and len(images) >= 20
