"""What Snakemake is told of a stage: resources that grow, values that it compares, errors."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from snakemake.iocontainers import Wildcards as Named

from reliance.config.resolve import load
from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan
from reliance.plan.stage import Paths, Stage, in_blocks
from reliance.plan.stages import STAGES
from reliance.plan.wiring import Wired, parts_of
from reliance.units.sae.kinds import DEFAULT, KINDS

from .asked import merged

ROOT = Path(__file__).parents[2]
BY_NAME = {stage.name: stage for stage in STAGES}


def wired(plan: Plan, stage: Stage | str) -> Wired:
    return Wired(BY_NAME[stage] if isinstance(stage, str) else stage, plan, ROOT)


def named(**values: str) -> Named:
    return Named(fromdict=values)


STAGE = Stage(
    name="count",
    entry="reliance.codes.top_samples:top_samples",
    outputs={"counts": "results/{variant}/counts/part-{part}-of-{parts}.json"},
    message="Counting",
    inputs=lambda plan, w: {"codes": f"results/{w.variant}/x"},
    settings=lambda plan, w: {"z": (1, 2), "a": {"y": 1, "b": 2}},
    untracked=in_blocks,
    memory=lambda s: 4000 + s.train / 1000,
)


@pytest.mark.parametrize(("attempt", "expected"), [(1, 4003), (2, 8005), (3, 12008)])
def test_every_attempt_asks_for_more(plan: Plan, attempt: int, expected: int) -> None:
    resources = wired(plan, STAGE).resources
    memory, minutes = resources["mem_mb"], resources["runtime"]
    assert not isinstance(memory, int) and not isinstance(minutes, int)
    assert memory(named(variant="tiny"), attempt=attempt) == expected
    assert minutes(named(variant="tiny"), attempt=attempt) == 10 * attempt
    assert set(resources) == {"mem_mb", "runtime"}


def test_threads_and_devices_are_those_of_the_configuration(plan: Plan) -> None:
    embed, threads = wired(plan, "embed_images"), plan.config.compute.threads
    assert (embed.threads, embed.resources["gpu"]) == (threads, 1)
    assert embed.resources["cpus_per_task"] == threads + plan.config.embedding.workers
    assert wired(plan, "train_clip").threads == 1


def test_logs_are_named_after_rule_and_job(plan: Plan) -> None:
    assert wired(plan, STAGE).log == "results/logs/count/{variant}.{part}-of-{parts}.log"
    assert wired(plan, "fig5").benchmark == "results/benchmarks/fig5/{variant}.tsv"
    log = "results/logs/embed_images/{encoder}.{dataset}.{split}.{part}-of-{parts}.log"
    assert wired(plan, "embed_images").log == log


def test_settings_are_sorted_and_untracked_values_are_hidden_from_snakemake(plan: Plan) -> None:
    of = wired(plan, STAGE)
    settings = of.settings(named(variant="tiny"))
    assert settings == {"a": {"b": 2, "y": 1}, "z": [1, 2]}
    assert list(settings) == ["a", "z"]
    assert list(settings["a"]) == ["b", "y"]
    assert of.untracked(named(), None) == {"block_rows": plan.config.compute.block_rows}
    for function in (of.untracked, of.about):
        assert "resources" in inspect.signature(function).parameters
    assert "resources" not in inspect.signature(of.settings).parameters
    assert list(inspect.signature(of.inputs).parameters) == ["wildcards"]


def test_a_users_path_with_braces_is_no_input_but_a_job_gets_it(plan: Plan, tmp_path: Path) -> None:
    odd = tmp_path / "{data}.tsv"
    odd.write_text("x")
    files: Paths = {"names": str(odd), "tables": ["results/a", str(odd)], "index": "results/b"}
    of = wired(plan, STAGE._replace(inputs=lambda plan, w: files))
    assert of.inputs(named()) == {"tables": ["results/a"], "index": "results/b"}
    state = [1, odd.stat().st_mtime_ns]
    assert of.literal(named()) == {"names": [[-1, str(odd), *state]], "tables": [[1, str(odd), *state]]}


def test_only_what_goes_on_from_unfinished_work_gets_a_fingerprint(plan: Plan) -> None:
    key = wired(plan, STAGE._replace(resumes=True)).settings(named(variant="tiny"))["fingerprint"]
    assert len(key) == 16
    others = [name for name, kind in KINDS.items() if kind.trained and name != DEFAULT]
    resumed = {stage.name for stage in STAGES if stage.resumes}
    assert resumed == {
        "train_clip",
        "embed_images",
        "embed_images_embedding",
        "embed_images_block",
        "embed_images_patches",
        "train_sae",
        "lens_part",
        *("encode", "encode_patches", "encode_of_imported", "encode_patches_of_imported"),
        *(f"{stage}_of_{kind}" for stage in ("train_sae", "encode", "encode_patches") for kind in others),
    }


def test_what_a_stage_reads_itself_is_part_of_its_fingerprints(plan: Plan) -> None:
    found = wired(plan, "report").fingerprints
    name, _, digest = found["code_file_reliance_report_page_html_j2"].partition("@")
    assert (name, len(digest)) == ("reliance/report/page.html.j2", 12)
    assert found["code_script"].startswith("reliance.report.page:report@")


def test_a_users_error_ends_the_run_with_one_message(plan: Plan) -> None:
    with pytest.raises(SystemExit) as end:
        wired(plan, "train_sae").inputs(named(variant="tinny"))
    assert str(end.value.code).startswith("\nERROR ") and "did you mean 'tiny'" in str(end.value.code)


def test_two_entries_never_share_a_fingerprint(plan: Plan) -> None:
    """Functions that only a string names are not reached from each other."""
    found = {s.entry: tuple(wired(plan, s).fingerprints.values()) for s in STAGES}
    assert len(set(found.values())) == len({stage.entry for stage in STAGES})
    fig5, fig9 = (wired(plan, name).fingerprints for name in ("fig5", "fig9"))
    assert "code_reliance_figures_concepts_fig9" not in fig5 and "code_reliance_figures_concepts_fig9" in fig9
    assert not [key for stage in STAGES for key in wired(plan, stage).fingerprints if "reliance_plan_" in key]


def test_names_that_a_job_does_not_have_are_empty() -> None:
    assert Wildcards(**dict(named(variant="x").items())) == Wildcards(variant="x")


def test_an_sae_is_trained_after_the_data_was_looked_at_and_does_not_read_what_was_found(plan: Plan) -> None:
    of = wired(plan, "train_sae")
    assert of.after(named(variant="tiny")) == ["results/tiny/guarded.json"]
    assert "results/tiny/guarded.json" not in of.inputs(named(variant="tiny")).values()
    assert wired(plan, STAGE).after(named(variant="tiny")) == []
    firsts = {stage.name for stage in STAGES if stage.first}
    assert firsts == {"count_captions", "check_data", "guard_data", "lens_masks", "take_probe"}


def test_what_others_wait_for_is_run_again_by_no_change_of_its_own(plan: Plan) -> None:
    """Snakemake sees no change in what waits (`ancient`) for a job that runs again."""
    waiting = [stage for stage in STAGES if stage.after]
    guards = {next(iter(stage.outputs.values())) for stage in STAGES if stage.guard}
    assert waiting and guards
    for stage in waiting:
        assert stage.after is not None
        awaited = stage.after(plan, Wildcards(variant="tiny"))
        assert {path.replace("tiny", "{variant}") for path in awaited} <= guards


def test_what_lies_in_a_bucket_is_asked_for_by_the_part(raw: dict[str, Any], plan: Plan) -> None:
    config = load(merged(raw, {"datasets": {"planted_tiny": {"parts": 2}}}))
    away = Plan(config, keep=lambda path: f"kept {path}")
    w = named(variant="tiny", split="train", part="0", parts="2")
    folder = "results/encoders/tiny/class_token/planted_tiny/train"
    assert wired(away, "encode").after(w) == [f"{folder}/part-{part}-of-2.zarr" for part in range(2)]
    assert wired(plan, "encode").after(w) == []
    codes = "results/tiny/codes/test"
    expected = [f"{codes}/part-{part}-of-2.zarr" for part in range(2)]
    assert parts_of(away, f"{codes}/manifest.json") == expected
    assert parts_of(away, f"/other/{codes}/manifest.json") == []
    assert parts_of(away, "results/tiny/components.parquet") == []
    assert away.users("mine.csv") == "kept mine.csv" and plan.users("mine.csv") == "mine.csv"
