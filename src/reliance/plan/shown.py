"""What figures read of one variant or several: deletion curves, and the lens; which variants they show."""

from collections.abc import Sequence

from reliance.plan import paths
from reliance.plan.faithfulness import BASES, of
from reliance.plan.lens import each_block, lens
from reliance.plan.lens_pictures import of_things
from reliance.plan.paths import at, each
from reliance.plan.plan import Plan
from reliance.plan.stage import Paths, Values

Names = Sequence[str]  # of variants


def shown(plan: Plan, names: Names) -> Values:
    """Which variants a figure shows, and which of them have encoders that were never trained."""
    return {"variants": names, "random_weights": [plan.untrained(name) for name in names]}


def curves(plan: Plan, names: Names) -> Paths:
    """Deletion and insertion curves."""
    return {
        "faithfulness": each(paths.FAITHFULNESS, names),
        "summary": each(paths.FAITHFULNESS_SUMMARY, names),
    }


def curves_of_bases(plan: Plan, names: Names) -> Paths:
    """The same of the SAE's latents and of each other basis, for one variant."""
    (name,) = names
    tables, summaries = (
        [at(sae, variant=name), *(at(of(other, basis), variant=name) for basis in BASES)]
        for sae, other in (
            (paths.FAITHFULNESS, paths.BASIS_FAITHFULNESS),
            (paths.FAITHFULNESS_SUMMARY, paths.BASIS_FAITHFULNESS_SUMMARY),
        )
    )
    return {"faithfulness": tables, "summary": summaries}


def compared_bases(plan: Plan, names: Names) -> Values:
    """Which variant, and which bases stand side by side."""
    return {**shown(plan, names), "bases": ["sae", *BASES]}


def lens_accuracies(plan: Plan, names: Names) -> Paths:
    """Accuracies without effects of each block's neurons."""
    (name,) = names
    return {"accuracies": each_block(plan, name, paths.LENS_ACCURACY)}


def lens_neurons(plan: Plan, names: Names) -> Paths:
    """Neurons of each block as described."""
    (name,) = names
    return {"neurons": each_block(plan, name, paths.LENS_NEURONS)}


def lens_blocks(plan: Plan, names: Names) -> Values:
    """Which variant, and which blocks."""
    return {**shown(plan, names), "blocks": lens(plan, names[0]).layers}


def lens_segmentations(plan: Plan, names: Names) -> Paths:
    """Scores of segmentations."""
    (name,) = names
    return {"scored": at(paths.LENS_SEGMENTS, variant=name)}


def lens_segmented(plan: Plan, names: Names) -> Paths:
    """The same, some of the pictures with the heat of every method, and what classes are called."""
    (name,) = names
    examples, classes = at(paths.LENS_EXAMPLES, variant=name), plan.path(paths.CLASSES, name)
    return {**lens_segmentations(plan, names), "examples": examples, "classes": classes}


def lens_trials(plan: Plan, names: Names) -> Paths:
    """What pictures that should mislead did, drawn or generated."""
    (name,) = names
    drawn = {"attacks": at(paths.LENS_ATTACKS, variant=name)} if of_things(plan, name) else {}
    made = lens(plan, name).generated is not None
    return {**drawn, **({"generated": at(paths.LENS_GENERATED, variant=name)} if made else {})}


def robustness(plan: Plan, names: Names) -> Paths:
    """Scores of all cases, and which of the mined ones are reviewed."""
    mined = [plan.variant(name).failures_from for name in names]
    return {
        "robustness": each(paths.ROBUSTNESS, names),
        "failures": each(paths.FAILURES, list(dict.fromkeys(mined))),
    }
