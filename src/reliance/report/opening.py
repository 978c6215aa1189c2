"""The first screen of a page: what this model is, how good it is, where it is fooled, by what, what is next.

A case is weak if it could be chance: its false discovery rate is above CHANCE, and nobody reviewed it. If the
model cannot tell its classes apart, or the SAE explains little of it, no case is a headline.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from reliance.base.failure_kinds import FAILURE_KINDS
from reliance.base.stamps import read_about, read_stamp
from reliance.config.sites import DEFAULT, SITES, block_of, kind_of
from reliance.explore.tables import Tables
from reliance.failures.case_list import CHANCE, beyond_chance
from reliance.report.markup import Grid
from reliance.report.rows import case_names
from reliance.robustness.published import best_of, far_below, published
from reliance.robustness.zero_shot import CLEARLY, beats_baselines

EXPLAINED = 0.5  # the explained variance from which latents speak for the model
PROMPT_SETS = {
    "short": "short name",
    "templated": "short name in templates",
    "extended": "full name",
    "both": "full name in templates",
}
SHOWN = 5  # classes
TOWER = {  # what is said of an image tower, as open_clip's config has it
    "timm_model_name": "{}",
    "layers": "layers {}",
    "width": "width {}",
    "patch_size": "patches of {} px",
    "image_size": "images of {} px",
}


class Opening(NamedTuple):
    """The first screen."""

    facts: Sequence[tuple[str, str]]  # what the model is
    accuracy: Grid  # zero-shot, per set of prompts, and what knows nothing of images
    quality: Sequence[tuple[str, str]]  # more on how good it is
    twins: Sequence[str]  # classes that cannot both win, a sentence each
    warnings: Sequence[str]  # why cases may mean nothing
    headline: str
    steps: Sequence[str]  # what can be done next


def opening(
    study: Tables, sae: Mapping[str, Any] | str, prompt_set: str, mined_by: str, site: str = DEFAULT
) -> Opening:
    """The first screen of a variant; sae : its settings, or a word where there are none. site : its name."""
    record, known = study.zero_shot, published_of(study)
    cases = strong(study.failures)
    warnings = [*weights_doubts(record, prompt_set, known), *sae_doubts(study)]
    return Opening(
        facts(study, sae, site),
        accuracy_rows(record, known),
        quality(study, record, prompt_set),
        read_about(study.path("text")).get("twins", []),
        warnings,
        headline(study, cases, warnings),
        steps(study, cases, warnings, mined_by),
    )


def strong(failures: pd.DataFrame) -> pd.DataFrame:
    """The cases that are not weak."""
    return failures[beyond_chance(failures)]


def facts(study: Tables, sae: Mapping[str, Any] | str, site: str) -> list[tuple[str, str]]:
    """What the page is about, in pairs of a name and a value."""
    counts = ", ".join(f"{n:,} {split}" for split, n in study.index["split"].value_counts().items())
    unreadable = f", {len(study.excluded)} unreadable" if len(study.excluded) else ""
    listed = [
        *encoder_facts(study.weights),
        ("read at", read_at(site)),
        ("images", f"{counts}{unreadable}, {len(study.class_names)} classes"),
    ]
    if study.has("components") and isinstance(sae, Mapping):
        components = study.components
        told, silent = int((components["label"] != "").sum()), int((components["n_active"] == 0).sum())
        listed.append(
            (
                "SAE",
                f"{sae['kind']}, {sae['k']} of {sae['m']:,} latents active per image, trained in "
                f"{sae['precision']}; {told:,} latents fire often enough to be named, {silent:,} never fire",
            )
        )
    return listed


def read_at(site: str) -> str:
    """Where in the model x is read, in words."""
    if (block := block_of(site)) is None:
        return SITES[kind_of(site)].meaning
    behind = f"after block {block}" + (" (from the end; -1 is the last)" if block < 0 else "")
    return f"the {'patch tokens' if kind_of(site) == 'patches' else 'class token'} {behind}"


def encoder_facts(weights: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Which model it is, where its weights come from, and its shape; weights : what weights.json says."""
    name, known = str(weights["encoder"]), str(weights["architecture"])
    listed = [("encoder", name if known == "from-file" else f"{name} ({known})")]
    source = [str(weights.get(key) or "") for key in ("pretrained", "path")]
    if any(source):
        listed.append(("weights", ", ".join(filter(None, source))))
    config = weights.get("config") or {}
    tower = config.get("vision_cfg", {})
    said = [
        form.format(tower[key])
        for key, form in TOWER.items()
        if isinstance(tower.get(key), int | str | list | tuple)
    ]
    said += [f"embedding of {config['embed_dim']}"] if "embed_dim" in config else []
    return [*listed, ("architecture", ", ".join(said))] if said else listed


def published_of(study: Tables) -> float | None:
    """The published top-1 share of the encoder on ImageNet, if it is known and this is ImageNet."""
    layout = read_stamp(study.path("index")).params.get("layout", "")
    weights = study.weights
    return published(str(weights["architecture"]), str(weights.get("pretrained") or ""), str(layout))


def accuracy_rows(record: Mapping[str, Any], known: float | None = None) -> Grid:
    """Top-1 and top-5 in % with their standard errors; known : the published top-1 share."""
    rows = [
        [words, *(_percent(*record["prompt_sets"][name][k]) for k in ("top1", "top5"))]
        for name, words in PROMPT_SETS.items()
        if record["prompt_sets"][name]["top1"][0] is not None
    ]
    if rows:
        for name, words in (("majority", "always the most frequent classes"), ("chance", "chance")):
            rows.append([words, *(_percent(record[name][k]) for k in ("top1", "top5"))])
    if rows and known is not None:
        rows.append(["published for these weights", _percent(known), ""])
    return Grid(["prompt", "top-1 (%)", "top-5 (%)"], rows)


def quality(study: Tables, record: Mapping[str, Any], prompt_set: str) -> list[tuple[str, str]]:
    """Which classes win least often, and how well the SAE reconstructs."""
    listed = []
    shares = pd.Series(record["prompt_sets"][prompt_set]["per_class"], dtype=float).dropna()
    if len(shares) > 1:
        name = study.class_names.set_index("class_id")["short_name"]
        lowest = shares.sort_values(kind="stable").head(SHOWN)
        told = ", ".join(f"{name.get(c, c)} {share:.0%}" for c, share in lowest.items())
        listed.append(("classes that win least", told))
    if study.has("components"):
        found = study.quality
        measured = str(found["data"]).replace("_", " ")
        listed += [
            ("explained variance of the SAE", f"{found['explained_variance']:.3f} on {measured} images"),
            ("cosine of its reconstruction", f"{found['cosine']:.3f}"),
        ]
    return listed


def weights_doubts(record: Mapping[str, Any], prompt_set: str, known: float | None = None) -> list[str]:
    """In plain words why the encoder may not be what it is taken for; none if there is no such reason."""
    found = []
    best = best_of(record)
    if far_below(record, known) and known is not None and best is not None:
        found.append(
            f"These weights are far below what was published for them: top-1 is at most {_percent(*best)} %, "
            f"published is {_percent(known)} %. Likely causes: another activation function (QuickGELU), "
            "preprocessing or tokenizer than they were trained with, or classes in another order."
        )
    if beats_baselines(record, prompt_set) is False:
        share, error = record["prompt_sets"][prompt_set]["top1"]
        found.append(
            "The model does not tell these classes apart by their names: top-1 is "
            f"{_percent(share, error)} %, where always naming the most frequent class "
            f"gets {_percent(record['majority']['top1'])} % and "
            f"chance {_percent(record['chance']['top1'])} %. A model is taken to work if it is better by "
            f"{CLEARLY:g} standard errors. What fools one that does not work is no finding. "
            "If it should work: were its activation function, preprocessing and tokenizer those of its "
            "training, and are the classes in the order of their names?"
        )
    return found


class WeightsTold(NamedTuple):
    """What is known of whether weights are what they are taken for."""

    accuracy: Grid  # zero-shot, per set of prompts, what knows nothing of images, and what was published
    twins: Sequence[str]  # classes that cannot both win
    doubts: Sequence[str]


def weights_told(study: Tables) -> WeightsTold:
    """The self-test of a variant's encoder on its test split, from `zero_shot.json`."""
    record, known = study.zero_shot, published_of(study)
    twins = read_about(study.path("text")).get("twins", [])
    shares = {name: record["prompt_sets"][name]["top1"][0] or 0.0 for name in PROMPT_SETS}
    doubts = weights_doubts(record, max(shares, key=lambda name: shares[name]), known)
    return WeightsTold(accuracy_rows(record, known), twins, doubts)


def sae_doubts(study: Tables) -> list[str]:
    """The same of its SAE."""
    found = []
    if study.has("components") and (explained := study.quality["explained_variance"]) < EXPLAINED:
        share = (
            f"{explained:.0%} of the variance of what it takes apart, less than {EXPLAINED:.0%}"
            if explained > 0
            else f"nothing of what it takes apart (explained variance {explained:.3f}; the mean has 0)"
        ).replace("-", "−")
        found.append(
            f"The SAE explains {share}: its latents say little about the model. Train it longer, on more "
            "images, or with more active latents (sae.epochs, sae.k)."
        )
    return found


def headline(study: Tables, cases: pd.DataFrame, warnings: Sequence[str]) -> str:
    """Where the model is fooled and by what, in a sentence or two that chance would not write."""
    listed, weak = len(study.failures), len(study.failures) - len(cases)
    apart = f" {_cases(weak)} that may be chance {'stands' if weak == 1 else 'stand'} apart." if weak else ""
    if not listed:
        return "No failure case was listed."
    if warnings:
        return f"{_cases(listed)} {'was' if listed == 1 else 'were'} listed; take none for a finding."
    if cases.empty:
        return f"Nowhere that chance would not explain: {_cases(weak)} of {CHANCE:.0%} or more false alarms."
    kinds = ", ".join(
        f"{n} × {FAILURE_KINDS[str(kind)].singular}" for kind, n in cases["kind"].value_counts().items()
    )
    best = cases.sort_values("score", ascending=False, na_position="last").iloc[0]
    prompt, by, latent = case_names(study).of(best)
    return (
        f"{_cases(len(cases))} beyond chance: {kinds}. The strongest: images of {by} score high for the "
        f"prompt “{prompt}”, through latent {latent}.{apart}"
    )


def steps(study: Tables, cases: pd.DataFrame, warnings: Sequence[str], mined_by: str) -> list[str]:
    """What can be done next, the most useful first; nothing that `warnings` forbid or that is done."""
    found = []
    waiting = int((cases["reviewed"] != "yes").sum())
    if warnings:
        found.append(
            "First a model that works: other weights, or names that say what the images show (names.csv "
            "beside the class folders); then cases are worth a look."
        )
    elif waiting:
        found.append(
            "Look at the pictures of the cases, and write what they are to "
            f"config/reviews/{mined_by}.tsv: {waiting} of {_cases(len(cases))} beyond chance "
            f"{'waits' if waiting == 1 else 'wait'} for a review."
        )
    if len(study.failures) and not warnings:
        found.append(
            "Try richer prompts: the table of cases has the areas of the short name, of the full name in "
            "templates, and of a linear probe."
        )
    another = "Another classifier" if study.has("audit") else "A classifier"
    found.append(f"{another} on these embeddings can be audited for what it relies on: docs/audit.md.")
    return found


def _cases(n: int) -> str:
    return f"{n} case{'' if n == 1 else 's'}"


def _percent(share: float, error: float | None = None) -> str:
    return f"{100 * share:.1f}" + ("" if error is None else f" ± {100 * error:.1f}")
