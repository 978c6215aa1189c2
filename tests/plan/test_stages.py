"""Every row of the plan against the function that it names, and against the other rows."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from reliance.base.errors import RelianceError
from reliance.config.resolve import load
from reliance.plan import concepts, encoders, paths
from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan
from reliance.plan.stage import Stage, plain
from reliance.plan.stages import STAGES

from .asked import merged, names_of, questions

ROOT = Path(__file__).parents[2]
VARIANTS = (
    "tiny",
    "tiny_deep",
    "of_folders",
    "demo_early",
    "demo_lesions",
    "vit_b16",
    "vit_l14.n20",
    "vit_b32_laion2b",
    "whylesion",
    "of_others",
    "of_a_head",
)
STAGES_BY_NAME = {stage.name: stage for stage in STAGES}
STAGE = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)


def fields_of(bundle: Any) -> dict[str, bool]:
    """Names that a bundle takes, and whether it needs them; none of what is no bundle."""
    if isinstance(bundle, type) and issubclass(bundle, BaseModel):
        return {name: field.is_required() for name, field in bundle.model_fields.items()}
    return {name: name not in bundle._field_defaults for name in getattr(bundle, "_fields", ())}


def parameters(stage: Stage) -> tuple[set[str], set[str], bool]:
    """Names that the function of a stage takes, those that it needs, and whether it takes any others."""
    module, _, name = stage.entry.partition(":")
    function = getattr(import_module(module), name)
    taken: set[str] = set()
    needed: set[str] = set()
    others = False
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        kinds = [parameter.annotation, *get_args(parameter.annotation)]
        required = parameter.default is parameter.empty
        if parameter.kind is parameter.VAR_KEYWORD:
            others = True
        elif fields := next(filter(None, map(fields_of, kinds)), {}):
            taken |= set(fields)
            needed |= {name for name, must in fields.items() if must} if required else set()
        else:
            taken.add(parameter.name)
            needed |= {parameter.name} if required else set()
    return taken, needed, others


def given(plan: Plan, stage: Stage) -> list[set[str]]:
    """Names that the jobs of a stage get, for every variant that has such jobs."""
    found = []
    for variant in VARIANTS:
        for w in names_of(plan, stage, variant):
            try:
                asked = [getattr(stage, name)(plan, w) for name in ("inputs", "settings", "untracked")]
            except RelianceError:
                continue  # not every variant has every file
            names = [name for values in asked for name in values]
            names += [*stage.outputs, *["fingerprint"] * stage.resumes]
            assert len(names) == len(set(names)), f"{stage.name} gives a name twice: {names}"
            found.append(set(names))
    return found


@STAGE
def test_what_a_stage_gives_is_what_its_function_takes(plan: Plan, stage: Stage) -> None:
    taken, needed, others = parameters(stage)
    jobs = given(plan, stage)
    assert jobs, "no variant has such a job"
    for names in jobs:
        assert others or names <= taken, names - taken
        assert needed <= names, needed - names


@STAGE
def test_a_stage_is_consistent(stage: Stage) -> None:
    patterns = [p for out in stage.outputs.values() for p in ([out] if isinstance(out, str) else out)]
    for pattern in (*patterns, *stage.beside):
        assert pattern.startswith("results/")
        assert sorted(re.findall(r"{(\w+)}", pattern)) == sorted(stage.wildcards), (
            "all outputs, the same names"
        )
    assert set(stage.wildcards) <= set(Wildcards._fields)
    assert set(re.findall(r"{wildcards\.(\w+)}", stage.message)) <= set(stage.wildcards)
    assert "{" not in re.sub(r"{wildcards\.\w+}", "", stage.message)
    assert set(stage.constraints) <= set(stage.wildcards) <= {*paths.CONSTRAINTS, *stage.constraints}
    assert set(stage.folders) <= set(stage.outputs)
    assert all((ROOT / "src/reliance" / name).is_file() for name in stage.reads)


def test_stages_differ_and_each_file_has_one_of_them() -> None:
    assert len({stage.name for stage in STAGES}) == len(STAGES)
    patterns = [
        (p, s.constraints.get("site"))
        for s in STAGES
        for out in s.outputs.values()
        for p in ([out] if isinstance(out, str) else out)
        if not (s.variants and (s.name.partition("_of_")[2] or s.name.endswith(("_network", "_patches"))))
    ]
    assert len(set(patterns)) == len(patterns)


def test_each_variant_has_the_stages_of_its_kind_of_sae(raw: dict[str, Any]) -> None:
    values = merged(raw)
    values["variants"]["other"] = {
        **values["variants"]["tiny"],
        "sae": {"preset": "planted", "kind": "made_up"},
    }
    plan = Plan(load(values))
    usual, other = (re.compile(f"{plan.of_kind(kind)}/sae/sae.safetensors") for kind in ("top_k", "made_up"))
    for name in ("other", "other.n20"):
        assert other.fullmatch(f"{name}/sae/sae.safetensors")
        assert not usual.fullmatch(f"{name}/sae/sae.safetensors")
    for name in ("tiny", "others", "tiny.n20", "unknown"):
        assert usual.fullmatch(f"{name}/sae/sae.safetensors")
        assert not other.fullmatch(f"{name}/sae/sae.safetensors")
    with pytest.raises(RelianceError, match=r"variants\.other\.sae\.kind: (.|\n)*allowed: top_k"):
        STAGES_BY_NAME["train_sae"].inputs(plan, Wildcards(variant="other"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_inputs_are_files_that_a_stage_makes_or_a_users_own(plan: Plan, variant: str) -> None:
    bounds = {**paths.CONSTRAINTS, "split": paths.CHANGED_SPLIT, "attributed": ".+", "basis": ".+"}
    patterns = []
    for stage in STAGES:
        for out in stage.outputs.values():
            for pattern in [out] if isinstance(out, str) else out:
                patterns.append(re.sub(r"\\{(\w+)\\}", lambda m: f"(?:{bounds[m[1]]})", re.escape(pattern)))
    makes = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
    for name, ask in questions(plan, variant):
        if name.endswith(": inputs"):
            try:
                files: Any = ask()
            except RelianceError:
                continue
            for file in files.values():
                for path in [file] if isinstance(file, str) else file:
                    assert "{" not in path
                    theirs = path.endswith(("theirs.safetensors", "head.npz"))
                    assert makes.fullmatch(path) or theirs, (name, path)


def test_settings_are_plain(plan: Plan) -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert list(value) == sorted(value)
            for inner in value.values():
                check(inner)
        elif isinstance(value, list):
            for inner in value:
                check(inner)
        else:
            assert value is None or type(value) in (bool, int, float, str), value

    for variant in VARIANTS:
        for name, ask in questions(plan, variant):
            if not name.endswith(": inputs"):
                try:
                    check(plain(ask()))
                except RelianceError:
                    continue


def test_a_key_at_its_default_is_no_setting_of_an_embedding(raw: dict[str, Any]) -> None:
    """Snakemake compares settings: one more would embed everything again."""
    w = Wildcards(encoder="tiny", dataset="planted_tiny", split="train", part="0", parts="1")

    def keys(**changes: object) -> dict[str, Any]:
        plan = Plan(load(merged(raw, {"embedding": {"chunk_rows": 2048, **changes}})))
        found = encoders.embedding(plan, w)
        return {key: found[key] for key in plan.config.embedding.model_dump() if key in found}

    usual = {"dtype": "float16", "precision": "fp32", "batch_size": 64, "chunk_rows": 2048}
    assert keys() == usual
    assert keys(jpeg_decoding="reduced") == {**usual, "jpeg_decoding": "reduced"}


def test_families_are_mined_as_the_section_repair_says(raw: dict[str, Any]) -> None:
    def contrastive(of_repair: bool, of_failures: bool) -> list[bool]:
        changes = {"repair": {"contrastive": of_repair}, "failures": {"contrastive": of_failures}}
        plan, w = Plan(load(merged(raw, changes))), Wildcards(variant="tiny")
        stages = STAGES_BY_NAME["mine_families"], STAGES_BY_NAME["mine_outliers"]
        return [bool(stage.settings(plan, w).get("contrastive")) for stage in stages if stage.settings]

    assert contrastive(of_repair=True, of_failures=False) == [True, False]
    assert contrastive(of_repair=False, of_failures=True) == [False, True]


def test_users_paths_may_hold_braces(raw: dict[str, Any], tmp_path: Path) -> None:
    odd = tmp_path / "my {data} é"
    odd.mkdir()
    (odd / "names.csv").write_text("folder,short_name,full_name\na,a,an a\n")
    (odd / "words.txt").write_text("bell\n")
    config = {"datasets": {"imagenet": {"root": str(odd), "vocabulary": "mine"}}}
    plan = Plan(load(merged(raw, config, {"vocabularies": {"mine": str(odd / "words.txt")}})))
    from reliance.plan import images

    assert images.to_index(plan, Wildcards(dataset="imagenet")) == {"names": str(odd / "names.csv")}
    files = encoders.to_embed_vocabulary(plan, Wildcards(dataset="imagenet", encoder="mobileclip_s2"))
    assert files["vocabulary"] == str(odd / "words.txt")


def test_hidden_concepts_are_held_against_what_is_asked_or_else_expected(raw: dict[str, Any]) -> None:
    """Words of the user's own before a vocabulary, and either before what a data set expects."""

    def plan(**hidden: Any) -> Plan:
        expected = {"datasets": {"imagenet": {"expected": ["a cat"]}}}
        return Plan(load(merged(raw, expected, {"hidden": {"prompts": [], **hidden}})))

    asked = Wildcards(dataset="imagenet", encoder="mobileclip_s2")
    assert encoders.embedding_asked(plan(), asked)["vocabulary"] == ("a cat",)
    assert encoders.embedding_asked(plan(prompts=["a dog"]), asked)["vocabulary"] == ("a dog",)
    assert encoders.embedding_asked(plan(vocabulary="classes"), asked)["vocabulary"] == "classes"
    assert "asked" in concepts.to_find_hidden(plan(), Wildcards(variant="vit_l14"))
    unasked = Plan(load(merged(raw, {"hidden": {"prompts": []}})))
    assert "asked" not in concepts.to_find_hidden(unasked, Wildcards(variant="vit_l14"))


def test_ours_move_with_a_prefix_and_a_users_own_files_do_not(raw: dict[str, Any]) -> None:
    plan = Plan(load(raw), place=lambda path: path if path.startswith("/") else f"sub/{path}")
    assert plan.placed("results/x") == "sub/results/x"
    assert plan.root("planted_tiny") == "sub/results/datasets/planted_tiny/images"
    assert plan.users("names.csv") == str(Path.cwd() / "names.csv")
    assert Plan(load(raw)).users("names.csv") == "names.csv"


@pytest.fixture
def groups() -> dict[str, str]:
    """Rule -> group of the profile for SLURM."""
    profile = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
    return dict(profile["groups"])


def test_the_profile_knows_the_rules(groups: dict[str, str]) -> None:
    assert set(groups) <= {stage.name for stage in STAGES}
    assert not [stage.name for stage in STAGES if stage.group and stage.name in groups], "said twice"


def test_the_profile_says_when_to_run_again_as_the_default_one() -> None:
    slurm, default = (
        yaml.safe_load((ROOT / f"workflow/profiles/{name}/config.yaml").read_text())
        for name in ("slurm", "default")
    )
    for key in ("rerun-triggers", "max-checksum-file-size", "rerun-incomplete"):
        assert slurm[key] == default[key]
