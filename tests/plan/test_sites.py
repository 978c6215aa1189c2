"""Sites in the plan: paths, entry points, and where labellers are read."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from reliance.base.errors import RelianceError
from reliance.config.resolve import load
from reliance.config.sites import HEAD, NETWORK, SITES, block_of, kind_of, named, rule_of
from reliance.plan import (
    atlas,
    attribution,
    codes,
    concepts,
    encoders,
    explore,
    failures,
    faithfulness,
    figures,
    naming,
    paths,
    robustness,
    sae,
)
from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan
from reliance.running.fingerprint import reachable_modules

ROOT = Path(__file__).parents[2]


def planned(models: dict[str, Any] | None = None, /, **variants: dict[str, Any]) -> Plan:
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    raw["encoders"] |= models or {}
    raw["variants"] |= {name: {**raw["variants"]["demo"], **keys} for name, keys in variants.items()}
    return Plan(load(raw))


def test_a_variant_is_read_at_its_site() -> None:
    plan, w = planned(outside={"site": "embedding"}), Wildcards(variant="outside")
    here = "results/encoders/demo/embedding"
    assert plan.embedded("outside", "train") == f"{here}/planted/train/manifest.json"
    assert plan.embedded("demo", "train") == "results/encoders/demo/class_token/planted/train/manifest.json"
    assert plan.path(paths.HEAD, "outside") == f"{here}/head.safetensors"
    assert sae.to_train(plan, w)["embeddings"] == [plan.embedded("outside", "train")]
    assert robustness.to_score(plan, w)["probe"] == f"{here}/planted/probe.safetensors"
    assert plan.path(paths.TEXT, "outside", prompt_set="short").startswith(
        "results/encoders/demo/planted/text"
    )


def test_a_labeller_is_read_where_only_its_embeddings_are_or_where_it_is_read_anyway() -> None:
    plan = planned(own={"labeller": "demo"}, other={"labeller": "demo_early"})
    assert [plan.labelled_at(name) for name in ("demo", "own", "other")] == [
        *("embedding", "class_token", "class_token")
    ]
    assert naming.labels(plan, "own", "train")["labels"] == plan.embedded("own", "train")
    assert concepts.alignments(plan, "demo").startswith("results/encoders/demo_labeller/embedding/planted")


def test_any_clip_can_be_taken_apart_at_its_embedding() -> None:
    assert planned(any={"encoder": "demo_labeller", "site": "embedding"}).embedded("any", "test")
    with pytest.raises(RelianceError, match="site: embedding"):
        planned(any={"encoder": "demo_labeller"})


def test_what_a_model_must_have_is_what_its_sites_need() -> None:
    """An encoder that is read at its embedding alone may be any CLIP, also where it names components."""
    anything = {"architecture": "RN50-quickgelu", "pretrained": "openai", "role": "encoder"}
    variants: dict[str, Any] = {"out": {"encoder": "any", "site": "embedding"}, "named": {"labeller": "any"}}
    plan = planned({"any": anything}, **variants)
    resolve = next(stage for stage in encoders.STAGES if stage.name == "resolve_weights")
    for encoder, needs in (("any", []), ("demo", ["norm", "proj"]), ("demo_labeller", [])):
        assert resolve.untracked(plan, Wildcards(encoder=encoder)) == {"needs": needs}
    assert plan.labelled_at("named") == "embedding"
    assert encoders.to_resolve(plan, Wildcards(encoder="any")) == {}
    both = planned({"any": anything}, **variants, inside={"encoder": "any"})
    assert both.labelled_at("named") == "class_token"
    for plan in (both, planned({"any": anything})):
        with pytest.raises(RelianceError, match=r"encoders.any.architecture(.|\n)*a ResNet"):
            encoders.to_resolve(plan, Wildcards(encoder="any"))


@pytest.mark.parametrize("site", SITES)
def test_the_jobs_of_a_site_do_not_reach_another(site: str) -> None:
    stages = encoders.at_site(site)
    assert [stage.name.startswith("export_head") for stage in stages[1:]] == [True] * (
        not SITES[site].pattern
    )
    folder = "{site}" if SITES[site].pattern else site
    assert f"/{{encoder}}/{folder}/" in str(stages[0].outputs["part"])
    for stage in stages:
        reached = reachable_modules(ROOT / "scripts/job.py", ROOT / "src", stage.entry)
        assert SITES[site].module in reached
        behind = {"block": ("class_token",), "patches": ("block", "class_token")}  # the same parts of a model
        own = {site, *behind.get(site, ())}
        assert not reached & {place.module for name, place in SITES.items() if name not in own}


def test_a_block_is_a_site_with_a_name() -> None:
    plan = planned(inside={"site": {"block": -2, "token": "class"}}, deep={"site": {"block": 1}})
    assert [plan.variant(name).site for name in ("inside", "deep")] == ["block-2", "block1"]
    here = "results/encoders/demo/block-2/planted"
    assert plan.embedded("inside", "train") == f"{here}/train/manifest.json"
    (embed,) = encoders.at_site("block")
    w = Wildcards(encoder="demo", dataset="planted", site="block-2", split="train", part="0", parts="1")
    assert encoders.embedding(plan, w)["block"] == -2
    assert "block" not in encoders.embedding(plan, w._replace(site="class_token"))
    assert all(re.fullmatch(embed.constraints["site"], name) for name in ("block-2", "block0", "block11"))
    assert not re.fullmatch(paths.CONSTRAINTS["site"], "block") and kind_of("block11") == "block"
    assert (block_of("block-2"), block_of("embedding")) == (-2, None)
    assert rule_of("embed_images", "block-2") == embed.name


def test_patches_are_a_site_whose_codes_are_made_by_running_the_model() -> None:
    plan = planned(
        inside={"site": {"block": -2, "token": "patches"}, "pooling": "mean"},
        deep={"site": {"block": 1, "token": "class"}},
        batch={"site": {"block": 1, "token": "patches"}, "sae": {"preset": "planted", "kind": "batch_top_k"}},
    )
    v = plan.variant("inside")
    assert (v.site, v.pooling, kind_of(v.site), block_of(v.site)) == (
        "block-2-patches",
        "mean",
        "patches",
        -2,
    )
    (embed,) = encoders.at_site("patches")
    w = Wildcards(
        encoder="demo", dataset="planted", site="block-2-patches", split="train", part="0", parts="1"
    )
    assert encoders.embedding(plan, w)["tokens_per_image"] == 8
    assert "tokens_per_image" not in encoders.embedding(plan, w._replace(site="block-2"))
    (block,) = encoders.at_site("block")
    for stage, name, own in ((embed, w.site, True), (block, w.site, False), (embed, "block-2", False)):
        assert bool(re.fullmatch(stage.constraints["site"], name)) == own
    rules = {stage.name: stage for stage in codes.STAGES}
    for rule, wanted in (
        ("encode", ["deep", "demo"]),
        ("encode_patches", ["inside"]),
        ("encode_of_batch_top_k", []),
        ("encode_patches_of_batch_top_k", ["batch"]),
    ):
        pattern = rules[rule].variants(plan)
        assert [n for n in ("inside", "deep", "batch", "demo") if re.match(pattern + "/", f"{n}/")] == sorted(
            wanted, key=["inside", "deep", "batch", "demo"].index
        )
    asked = Wildcards(variant="inside", split="train", part="0", parts="1")
    settings = rules["encode_patches"].settings(plan, asked)
    assert (settings["block"], settings["pooling"], settings["split"]) == (-2, "mean", "train")
    assert {"index", "weights"} <= set(rules["encode_patches"].inputs(plan, asked))


def test_behind_the_last_block_patches_are_refused_with_the_reason() -> None:
    with pytest.raises(RelianceError, match="do not reach the output"):
        planned(inside={"site": {"block": -1, "token": "patches"}})


def test_what_asks_for_the_rest_of_a_model_gets_a_head_or_the_weights_and_the_images() -> None:
    plan, network = planned(inside={"site": {"block": -2}}), Wildcards(variant="inside", attributed="test")
    asking = [*attribution.STAGES, *failures.STAGES, *faithfulness.STAGES]
    doubled = [stage for stage in asking if stage.name.endswith("_network")]
    doubled = [stage for stage in doubled if "contrasts" not in stage.name]  # of variants that ask for it
    assert len([stage for stage in asking if stage.name.endswith("_patches")]) >= 6
    assert len(doubled) == 6
    for stage in doubled:
        (closed,) = [other for other in asking if other.name == stage.name.removesuffix("_network")]
        assert stage.variants and closed.variants and stage.entry == closed.entry
        for name, own in (("inside", True), ("inside.n20", True), ("demo", False)):
            assert bool(re.match(stage.variants(plan) + "/", f"{name}/")) == own
            assert bool(re.match(closed.variants(plan) + "/", f"{name}/")) != own
        assert NETWORK in stage.also and NETWORK not in closed.also
        found = stage.inputs(plan, network)
        assert found["weights"] == "results/encoders/demo/weights.json" and "head" not in found
        settings = stage.settings(plan, network)
        assert (settings["network"], settings["block"]) == (NETWORK, -2) and settings["dataset_root"]
        assert stage.untracked(plan, network)["block_rows"] <= 256
        demo = network._replace(variant="demo")
        assert "head" in closed.inputs(plan, demo) and "block" not in closed.settings(plan, demo)
    assert {SITES[name].tail for name in ("class_token", "embedding")} == {HEAD}


@pytest.mark.parametrize(
    "site",
    [
        *("block", "block-1", "blocks", "patches", "block-1-patches", 3),
        *({"block": number} for number in ("two", "-1", -1, True, 1234)),
        *({"token": "class"}, {"block": 2, "token": "all"}, {"block": 2, "layer": 3}),
    ],
)
def test_what_is_no_site_is_refused(site: Any) -> None:
    with pytest.raises(RelianceError, match="site"):
        planned(inside={"site": site})


def test_an_audit_needs_a_closed_form() -> None:
    with pytest.raises(RelianceError, match=r"closed form(.|\n)*class_token or embedding"):
        planned(inside={"site": {"block": -2}, "audit": {"positive": ["0"]}})


def test_jobs_of_heads_do_not_reach_the_network() -> None:
    """So that they import no CLIP: nothing of it is needed for a closed form."""
    for stage in (*attribution.STAGES, *faithfulness.STAGES):
        if not stage.name.endswith("_network"):
            reached = reachable_modules(ROOT / "scripts/job.py", ROOT / "src", stage.entry)
            assert not reached & {
                "reliance.tails.network",
                "reliance.tails.remaining",
                "reliance.encoders.model",
            }


def test_names_are_left_as_they_are() -> None:
    assert named("class_token") == "class_token" and named({"block": 3, "token": "class"}) == "block3"
    assert named({"block": "-2", "token": "patches"}) == "block-2-patches"  # as --config has it


def test_other_sites_are_recorded_beside_where_that_is_asked_for() -> None:
    own = Wildcards(encoder="demo", dataset="planted", site="class_token", split="train", part="0", parts="1")
    inside = {"inside": {"site": {"block": -2}}}
    assert encoders.together(planned(**inside), own) == {}
    plan = planned(**inside)
    section = plan.config.embedding.model_copy(update={"one_pass": True})
    asked = Plan(plan.config.model_copy(update={"embedding": section}))
    assert list(encoders.together(asked, own)) == ["block-2"]
    assert encoders.together(asked, own._replace(split="train@red_more")) == {}


AT_SITES: dict[str, Any] = {
    "out": {"site": "embedding"},
    "inside": {"site": {"block": -2}},
    "pieces": {"site": {"block": -2, "token": "patches"}},
}


def test_every_site_has_an_atlas_and_its_relevances_are_kept_ones_where_no_head_is() -> None:
    plan = planned(**AT_SITES)
    for name, closed in (("demo", True), ("out", True), ("inside", False), ("pieces", False)):
        w = Wildcards(variant=name)
        files = atlas.to_browse(plan, w)
        assert ("head" in files, "attributions" in files, "outputs" in files) == (
            closed,
            not closed,
            not closed,
        )
        assert atlas.browsing(plan, w)["site"] == plan.variant(name).site
        described = explore.describing(plan, w)["files"]
        assert described["atlas"] == f"results/{name}/atlas/index.html"
        assert ("head" in described) == closed
    assert atlas.to_browse(plan, Wildcards(variant="pieces"))["outputs"] == (
        "results/pieces/outputs/subset.parquet"
    )


def galleries_of(plan: Plan, name: str) -> list[tuple[Any, Any]]:
    """Inputs and settings of the galleries of components and of cases."""
    groups = (figures.GROUPS[reads] for reads in ("hidden concepts", "cases"))
    return [(group.inputs(plan, [name]), group.settings(plan, [name])) for group in groups]


def test_galleries_have_maps_only_if_asked_for_and_where_there_are_some() -> None:
    plain = planned(**AT_SITES)
    section = plain.config.galleries.model_copy(update={"maps": True})
    plan = Plan(plain.config.model_copy(update={"galleries": section}))
    for name, mapped in (("demo", True), ("out", False), ("inside", True), ("pieces", True)):
        for (files, settings), (before, unset) in zip(
            galleries_of(plan, name), galleries_of(plain, name), strict=True
        ):
            assert not {"weights", "sae"} & set(before) and "site" not in unset
            assert ({"weights", "sae"} <= set(files)) == mapped
            assert settings.get("site") == (plan.variant(name).site if mapped else None)
    borrowed = planned(**AT_SITES, mended={"failures_from": "pieces"})
    files, _ = galleries_of(borrowed, "mended")[1]
    assert files["located"] == "results/pieces/codes/train/manifest.json"
    assert "located" not in galleries_of(borrowed, "inside")[1][0]
