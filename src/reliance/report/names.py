"""Whether the names on a page can be believed: a labeller that does not know the classes names nothing."""

from collections.abc import Mapping
from typing import Any

from reliance.explore.tables import Tables
from reliance.naming.fit import known_by_name
from reliance.robustness.zero_shot import beats_baselines

ADVICE = (
    "Take none for what a component is of: look at its images, or name components with a CLIP that knows "
    "them (labeller)."
)


def names_doubts(study: Tables, variant: Mapping[str, Any], prompt_set: str) -> list[str]:
    """In plain words why the names of components are guesses; none if there is no such reason.

    variant : its settings, of which `encoder` and `labeller` are looked at. prompt_set : that zero-shot
    accuracies are read for, if the two are one.
    """
    if not study.has("components"):
        return []
    if (
        not study.has("alignments")
        or (known := known_by_name(study.alignments["alignment"].to_numpy())) is None
    ):
        return [
            "The names of components are guesses: without classes nothing tells whether the labeller knows "
            f"what these images show. {ADVICE}"
        ]
    if not known.clearly:
        error = "" if known.classes == 1 else f" ± {known.error:.3f}"
        mean = f"{known.mean:+.3f}{error}".replace("-", "−")
        return [
            "The names of components are guesses: the labeller does not know these images by their names. "
            f"The alignment of a class with its own name is {mean} in the mean, where "
            f"no text at all has 0. {ADVICE}"
        ]
    same = variant.get("labeller") in (None, variant.get("encoder"))
    if same and beats_baselines(study.zero_shot, prompt_set) is False:
        return [
            "The names of components are guesses: the labeller is the encoder itself, which does not tell "
            f"these classes apart by their names. {ADVICE}"
        ]
    return []
