"""Stage `embed_own_prompts`: a user's prompts of classes, as one more set of words to repair with.

A YAML file, class -> a prompt or a list of prompts. A class is named by its short name or folder; classes
that are left out keep their short name.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.text import unfit
from reliance.encoders.text import TEXT, encode_prompts, mean_directions
from reliance.images.tables import CLASSES


def read_prompts_of(path: Path, classes: pd.DataFrame) -> dict[int, list[str]]:
    """class_id -> prompts of all classes. Raises RelianceError for a file that is none, or names no class."""
    try:
        given: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _bad(path, f"{type(error).__name__}: {' '.join(str(error).split())[:120]}") from error
    if not isinstance(given, dict) or not given:
        raise _bad(path, type(given).__name__ if given else "nothing")
    by_name: dict[str, list[int]] = {}
    for c, short, folder in zip(*(classes[n] for n in ("class_id", "short_name", "folder")), strict=True):
        for name in {str(short), str(folder)}:
            by_name.setdefault(name, []).append(int(c))
    found = {int(c): [str(n)] for c, n in zip(classes["class_id"], classes["short_name"], strict=True)}
    for name, said in given.items():
        prompts = [said] if isinstance(said, str) else said
        if not isinstance(prompts, list) or not prompts or not all(_fits(prompt) for prompt in prompts):
            raise _bad(path, f"{name}: {said!r}"[:120])
        known = by_name.get(str(name), [])
        if len(known) != 1:
            raise _bad(path, f"{name}, the name of {len(known)} classes")
        found[known[0]] = prompts
    return found


def embed_own_prompts(
    *,
    classes: Path,
    weights: Path,
    text: Path,
    prompts: Path | None = None,
    device: str = "cpu",
    threads: int = 1,
) -> None:
    """Write TEXT with a row per class. Raises RelianceError without a file, or for one that is none."""
    if prompts is None:
        raise _bad(Path("config/prompts"), "no file for this variant")
    import torch

    from reliance.encoders.model import load_model, load_tokenizer

    torch.set_num_threads(threads)
    table, stamp = read_table(classes, CLASSES)
    said = read_prompts_of(prompts, table)
    clip = load_model(weights, device)
    flat = [prompt for own in said.values() for prompt in own]
    vectors = encode_prompts(clip.model, load_tokenizer(clip.weights), flat)
    frame = pd.DataFrame(
        {
            "prompt_id": range(len(said)),
            "class_id": list(said),
            "prompts": pd.Series(list(said.values()), dtype=object),
            "embedding": list(mean_directions(vectors, [len(own) for own in said.values()])),
        }
    )
    params = {"prompts": list(said.values())}
    write_table(text, frame, TEXT, params, {"classes": stamp.id, "weights": clip.stamp.id})


def _fits(prompt: object) -> bool:
    return isinstance(prompt, str) and bool(prompt.strip()) and not unfit(prompt)


def _bad(path: Path, found: str) -> RelianceError:
    return RelianceError(
        path,
        "own prompts are a YAML table: class: a prompt, or a list of prompts",
        found=found,
        allowed="short names or folders of classes, each once; texts of one line",
        next_step="correct it; for example  crane: [a photo of a crane bird, a wading bird]",
    )
