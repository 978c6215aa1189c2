"""The configuration: what ships is valid, and every mistake ends in one clear error."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reliance.base.errors import RelianceError
from reliance.config import models
from reliance.config.resolve import check_file, check_root, dataset_of, load, resolve
from reliance.config.yaml_file import check_yaml

ROOT = Path(__file__).parents[2]
SHIPPED = yaml.safe_load((ROOT / "config/config.yaml").read_text())


def shipped() -> dict[str, Any]:
    return copy.deepcopy(SHIPPED)


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(raw: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for key in parents:
            raw = raw[key]
        raw[last] = value

    return apply


def misspelt(path: str) -> Callable[[dict[str, Any]], None]:
    """The last letter of a key is left out."""

    def apply(raw: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for key in parents:
            raw = raw[key]
        raw[last[:-1]] = raw.pop(last)

    return apply


def test_what_ships_is_valid() -> None:
    config = load(shipped())
    paper = {"vit_b32", "vit_b16", "vit_l14", "vit_l14_336", "vit_h14"}
    paper |= {"vit_b32_datacomp_m", "vit_b32_laion400m", "vit_b32_laion2b"}
    assert paper | {"demo", "demo_early"} <= set(config.variants)
    for name in config.variants:
        assert resolve(config, name).dataset in config.datasets


def test_null_on_the_command_line_is_nothing() -> None:
    """Snakemake reads --config 'a={b: null}' as a word."""
    raw = shipped()
    raw["variants"]["demo"]["audit"] = {"positive": ["cow"], "component": "null"}
    raw["variants"]["demo"]["sae"]["grad_clip"] = "null"
    config = load(raw)
    found = config.variants["demo"]
    assert found.audit is not None
    assert found.audit.component is None
    assert config.sae_of("demo").grad_clip is None
    raw["variants"]["demo"]["dataset"] = "null"
    with pytest.raises(RelianceError, match="null"):
        load(raw)


def test_tiny_adds_a_variant() -> None:
    raw = shipped()
    for section, entries in yaml.safe_load((ROOT / "config/tiny.yaml").read_text()).items():
        raw[section].update(entries)
    tiny = resolve(load(raw), "tiny")
    assert tiny.sae is not None and tiny.sae.m < 512


def test_every_key_is_explained_in_the_shipped_file() -> None:
    text = (ROOT / "config/config.yaml").read_text()
    sections = [getattr(models, n) for n in dir(models) if isinstance(getattr(models, n), type)]
    keys = {k for s in sections if issubclass(s, models.Section) for k in s.model_fields} - {"per_class"}
    missing = sorted(k for k in keys if not re.search(rf"\b{k}\b", text))
    assert not missing, f"config/config.yaml does not mention {missing}"


def test_a_rehearsal_uses_the_first_images_and_all_of_them() -> None:
    config = load(shipped())
    rehearsal = resolve(config, "vit_l14.n20")
    assert rehearsal.dataset == "imagenet.n20"
    assert rehearsal.failures_from == "vit_b16.n20"
    assert rehearsal.failures.every_nth == 1
    assert rehearsal.train_on == (("imagenet.n20", "train"),)
    assert dataset_of(config, "imagenet.n20").per_class == 20
    assert dataset_of(config, "imagenet").per_class is None


MISTAKES = [
    (change("compte", {}), "compte", "did you mean 'compute'"),
    (change("failures/minz", 1), "failures.minz", "did you mean 'min_z'"),
    (change("failures/min_z", -1), "failures.min_z", "greater than or equal to 0"),
    (change("failures/min_z", float("nan")), "failures.min_z", "finite"),
    (change("failures/prompt_set", "long"), "failures.prompt_set", "'short', 'templated'"),
    (change("embedding/jpeg_decoding", "fast"), "embedding.jpeg_decoding", "'exact' or 'reduced'"),
    (change("failures", 3), "failures", "dictionary"),
    (change("variants/demo/sae/k", 600), "variants.demo.sae", "k = 600 and m = 512"),
    (change("variants/demo/sae/kk", 6), "variants.demo.sae.kk", "unknown key"),
    (misspelt("variants/demo_lesions/audit/positive"), "demo_lesions.audit.positiv", "mean 'positive'"),
    (misspelt("variants/demo_lesions/encoder"), "variants.demo_lesions.encode", "mean 'encoder'"),
    (change("variants/demo/sae/preset", "plantd"), "variants.demo.sae.preset", "did you mean 'planted'"),
    (
        change("variants/demo/failures", {"min_zz": 1}),
        "variants.demo.failures.min_zz",
        "did you mean 'min_z'",
    ),
    (change("variants/demo/encoder", "dmo"), "variants.demo.encoder", "did you mean 'demo'"),
    (change("variants/demo/encoder", "demo_labeller"), "variants.demo.encoder", "role"),
    (change("variants/demo/site", "class_tokens"), "variants.demo.site", "class_token | embedding"),
    (change("variants/demo/dataset", "imagnet"), "variants.demo.dataset", "did you mean 'imagenet'"),
    (change("variants/demo/train_on", ["planted:pool"]), "variants.demo.train_on", "train or test"),
    (change("variants/vit_l14/failures_from", "vit_b32"), "variants.vit_l14.failures_from", "chains"),
    (change("variants/vit_l14/failures_from", "demo"), "variants.vit_l14.failures_from", "data set"),
    (change("variants/compare", SHIPPED["variants"]["demo"]), "variants.compare", "folders"),
    (change("variants/Bad Name", SHIPPED["variants"]["demo"]), "variants.Bad Name", "pattern"),
    (change("variants/demo/external", ["spurious_imagenet"]), "variants.demo.external", "imagenet"),
    (change("comparisons/demo", ["demo_erly"]), "comparisons.demo", "did you mean 'demo_early'"),
    (change("encoders/demo/training/stepz", 3), "encoders.demo.training.stepz", "did you mean 'steps'"),
    (change("encoders/demo/file", "x.pt"), "encoders.demo", "one source of weights"),
    (change("encoders/vit_b16", {"architecture": "ViT-B-16"}), "encoders.vit_b16", "source of weights"),
    (change("encoders/demo_early/halfway_of", "vit_b16"), "encoders.demo_early.halfway_of", "demo"),
    (change("datasets/planted/root", "/data"), "datasets.planted", "no root"),
    (change("datasets/imagenet/per_class", 3), "datasets.imagenet.per_class", ".n{N}"),
    (change("variants/demo/audit", {}), "variants.demo.audit", "at least one class"),
    (change("variants/demo/audit", {"positive": []}), "variants.demo.audit", "at least one class"),
    (change("variants/demo/audit", {"probe": {"fle": "a.npz"}}), "variants.demo.audit.probe", "file"),
    (change("variants/demo/audit", {"probe": "a", "negative": ["a"]}), "variants.demo.audit", "at least one"),
    (
        change("variants/demo/audit", {"positive": ["a"], "negative": ["a"]}),
        "variants.demo.audit",
        "not both",
    ),
    (change("variants/demo/audit", {"positive": ["a"], "low": 2, "high": 1}), "variants.demo.audit", "above"),
    (
        change("variants/demo/audit", {"positive": ["a"], "test_on": "rest", "positive_share": 1}),
        "variants.demo.audit",
        "below 1",
    ),
    (change("variants/demo/audit", {"positve": ["a"]}), "variants.demo.audit.positve", "positive"),
    (
        change("variants/demo/audit", {"positive": ["a"], "intervention": {"transform": "red_mor"}}),
        "variants.demo.audit.intervention.transform",
        "did you mean 'red_more'?",
    ),
    (
        change(
            "variants/demo/audit",
            {"positive": ["a"], "intervention": {"transform": "red_more", "opposite": "x"}},
        ),
        "variants.demo.audit.intervention.opposite",
        "red_less",
    ),
    (
        change("variants/vit_b32_laion2b/audit", {"positive": ["a"]}),
        "variants.vit_b32_laion2b.audit",
        "no SAE",
    ),
    (change("transforms/red_more/channel", "pink"), "transforms.red_more.channel", "'red'"),
    (change("transforms/red_more/delta", 1.5), "transforms.red_more.delta", "less than or equal to 1"),
    (change("datasets/planted/groups", "ids.csv"), "datasets.planted", "no groups"),
    (change("datasets/imagenet/split", {"test": 0.2}), "datasets.imagenet", "layout: folder"),
    (
        change("datasets/imagenet/vocabulary", "imagenet22k"),
        "imagenet.vocabulary",
        "did you mean 'imagenet21k'",
    ),
    (change("naming/stored", 10), "naming", "top_n"),
    (
        change("naming", {"stored": 10, "top_n": 10, "min_active": 20, "draws": 1, "near": 0.8}),
        "naming",
        "at least 20",
    ),
    (change("datasets/planted/planted/classes", 60), "datasets.planted.planted.classes", "55"),
    (change("datasets/planted/names", "x.csv"), "datasets.planted", "own names"),
    (change("encoders/demo/training/pool", 5), "encoders.demo.training", "batch_size"),
    (change("encoders/demo/pretrained", "openai"), "encoders.demo", "pretrained goes alone"),
    (
        change("variants/bare", {"encoder": "vit_b16", "dataset": "imagenet"}),
        "variants.bare",
        "failures_from",
    ),
    (change("external_lists/spurious_imagenet/kind", "odd"), "spurious_imagenet.kind", "'polysemous'"),
    (change("templates", ["no place"]), "templates", "exactly once"),
    (change("external_lists/spurious_imagenet/failures", "x"), "external_lists.spurious_imagenet", "samples"),
]


@pytest.mark.parametrize(("apply", "where", "hint"), MISTAKES, ids=[m[1] for m in MISTAKES])
def test_a_mistake_is_one_clear_error(apply: Callable[[dict[str, Any]], None], where: str, hint: str) -> None:
    raw = shipped()
    apply(raw)
    with pytest.raises(RelianceError) as caught:
        load(raw)
    message = str(caught.value)
    assert where in message
    assert hint in message
    assert all(part in message for part in ("found:", "allowed:", "next:"))


@pytest.mark.parametrize("suffix", [".n0", ".n-1", ".nx", ".n1.n1", ".n" + "9" * 5000, ".n\u0663", ".N5"])
def test_a_suffix_that_is_no_rehearsal_says_what_one_is(suffix: str) -> None:
    config = load(shipped())
    for ask in (lambda: resolve(config, f"demo{suffix}"), lambda: dataset_of(config, f"planted{suffix}")):
        with pytest.raises(RelianceError, match=r"by \.n\{N\}"):
            ask()


def test_an_unknown_variant_names_the_nearest() -> None:
    with pytest.raises(RelianceError, match="did you mean 'vit_l14'"):
        resolve(load(shipped()), "vit_l15")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a: [1, 2", "line"),
        ("a: b: c", "line 1"),
        ("\t- x", "line 1"),
        ("[1, 2]", "mapping"),
        ("", "mapping"),
        ("a: 1\nb: {c: 1,\n    c: 2}", r"line 3, column 5(.|\n)*the key c stands there for the second time"),
        ("a: 2020-13-45", "month"),
        ("a: " + "[" * 10_000, "recursion"),
    ],
    ids=range(8),
)
def test_broken_yaml_names_the_line(tmp_path: Path, text: str, hint: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(RelianceError, match=hint):
        check_yaml(tmp_path / "c.yaml")


def test_what_is_merged_in_may_be_given_again(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("a: &a {k: 1, l: 2}\nb: &b {<<: *a, k: 3}\nc: {<<: *b, k: 4}\n")
    check_yaml(tmp_path / "c.yaml")
    for shipped_file in ("config.yaml", "tiny.yaml"):
        check_yaml(ROOT / "config" / shipped_file)


KEYS = sorted(f"{s}/{k}" for s, v in SHIPPED.items() if isinstance(v, dict) for k in v)
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just([]) | st.just({})
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(path=st.sampled_from(KEYS), value=VALUES)
def test_any_value_is_valid_or_one_clear_error(path: str, value: Any) -> None:
    raw = shipped()
    change(path, value)(raw)
    try:
        load(raw)
    except RelianceError as error:
        assert "next:" in str(error)


def test_a_missing_root_says_how_to_give_it(tmp_path: Path) -> None:
    with pytest.raises(RelianceError, match=r"--config 'datasets=\{imagenet: \{root: PATH\}\}'"):
        check_root("datasets", "imagenet", None)
    with pytest.raises(RelianceError, match="not a folder"):
        check_root("datasets", "imagenet", str(tmp_path / "nowhere"))
    check_root("datasets", "imagenet", str(tmp_path))
    with pytest.raises(RelianceError, match="existing file"):
        check_file("vocabularies.birds", str(tmp_path / "birds.txt"))
