"""Sites in the plan: paths, entry points, and where labellers are read."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from reliance.base.errors import RelianceError
from reliance.config.resolve import load
from reliance.config.sites import SITES
from reliance.plan import concepts, encoders, naming, paths, robustness, sae
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
    embed, export = encoders.at_site(site)
    assert f"/{{encoder}}/{site}/" in str(embed.outputs["part"]) and export.name.startswith("export_head")
    for stage in (embed, export):
        reached = reachable_modules(ROOT / "scripts/job.py", ROOT / "src", stage.entry)
        assert SITES[site].module in reached
        assert not reached & {place.module for name, place in SITES.items() if name != site}
