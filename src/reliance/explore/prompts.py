"""Prompts that are asked about: a class's stored one where the text is its name, else embedded.

A text is held against the names of classes letter by letter: "scissors" is the class of this short name
with its prompt of the set `short`, "crane wading bird" the one of this full name with its prompt of the set
`extended`. A number is a class_id, with the prompt that the variant's expectations and cases are about.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.encoders.text import TEXT
from reliance.explore.model import ENCODER, Models
from reliance.explore.shelf import Shelf

LONGEST = 1000  # characters


class Asked(NamedTuple):
    """A prompt with its text vector."""

    text: str
    vector: np.ndarray  # float32 [p], unit norm
    class_id: int = -1  # the class whose name it is; -1: none, or several
    prompt_set: str = ""  # that the vector is of; "": embedded for this question
    expected: bool = False  # whether it is the prompt that expectations are about
    weight: float = 1.0  # length of the vector that it stands for


def ask(shelf: Shelf, models: Models, prompts: Sequence[str | int]) -> list[Asked]:
    """The prompts with their vectors, in their order. Raises RelianceError for what is none."""
    if not prompts:
        raise _bad("no prompt", "at least one")
    found = [_stored(shelf, prompt) for prompt in prompts]
    new = [str(prompt) for prompt, known in zip(prompts, found, strict=True) if known is None]
    vectors = iter(models.texts(ENCODER, new)) if new else iter(())
    return [
        known if known is not None else Asked(str(prompt), next(vectors))
        for prompt, known in zip(prompts, found, strict=True)
    ]


def mean_of_classes(shelf: Shelf) -> Asked:
    """What all classes' prompts have in common: the mean of their vectors (`tails.contrast`)."""
    mean = shelf.prompts(main_set(shelf)).vectors.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    return Asked("the mean of all classes", (mean / length).astype(np.float32), weight=length)


def main_set(shelf: Shelf) -> str:
    """The prompt set that expectations and cases are about."""
    return str(shelf.about.get("prompt_set", "short"))


def _stored(shelf: Shelf, prompt: str | int) -> Asked | None:
    """The stored prompt of a class, if the prompt is one."""
    table, own = shelf.class_names, main_set(shelf)
    if isinstance(prompt, int | np.integer):
        if int(prompt) not in set(table["class_id"].tolist()):
            raise _bad(f"class {prompt}", f"a class_id of {shelf.path('classes')}")
        return _of_class(shelf, int(prompt), own)
    text = prompt.strip()
    if not text or len(prompt) > LONGEST:
        raise _bad(repr(prompt) if not text else f"{len(prompt)} characters", f"1 to {LONGEST} characters")
    for name, column in sorted(
        (("short", "short_name"), ("extended", "full_name")), key=lambda e: e[0] != own
    ):
        if not shelf.has("texts", name):
            continue
        classes = table["class_id"][table[column] == text].tolist()
        if len(classes) == 1:
            return _of_class(shelf, classes[0], name)
        if classes:  # the text is the same, so is the vector, but whose expectations?
            return _of_class(shelf, classes[0], name)._replace(class_id=-1, expected=False)
    return None


def _of_class(shelf: Shelf, class_id: int, prompt_set: str) -> Asked:
    texts = shelf.prompts(prompt_set)
    vector = texts.vectors[np.searchsorted(texts.class_ids, class_id)]
    said = said_of(shelf, prompt_set).get(class_id, [])
    own = main_set(shelf)
    same = prompt_set == own or (shelf.has("texts", own) and said_of(shelf, own).get(class_id) == said)
    return Asked("; ".join(said), vector, class_id, prompt_set, same)


def said_of(shelf: Shelf, prompt_set: str) -> dict[int, list[str]]:
    """The texts of the prompts of every class."""

    def read(path: object) -> dict[int, list[str]]:
        frame, _ = read_table(str(path), TEXT, columns=["class_id", "prompts"])
        return {int(c): list(p) for c, p in zip(frame["class_id"], frame["prompts"], strict=True)}

    found: dict[int, list[str]] = shelf.once("said", "texts", prompt_set, read)
    return found


def _bad(found: str, allowed: str) -> RelianceError:
    return RelianceError(
        "prompt",
        "a prompt is a text, or the number of a class",
        found=found,
        allowed=allowed,
        next_step="say for example --prompt scissors",
    )
