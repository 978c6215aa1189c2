"""Stage `embed_text`: unit text vectors of class prompts and of vocabularies.

| prompt set | one row per | prompts |
|---|---|---|
| short | class | the name before the first comma |
| templated | class | the short name in every template |
| extended | class | the full name |
| both | class | the full name in every template |
| words | word of a short name of several words | the word |
| definition | class | its definition |
| vocabulary | name | "" first, then the names, then perhaps the written words |

The vector of several prompts is the mean of their unit vectors, normalised.
"""

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import TableSpec, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.finite import finite
from reliance.base.telling import advance
from reliance.encoders.twins import tell_twins, twins
from reliance.images.classes import imagenet21k_names, imagenet21k_words
from reliance.images.names import read_lines
from reliance.images.tables import CLASSES

log = logging.getLogger(__name__)
TEXT = TableSpec(
    "text",
    1,
    (("prompt_id", "int32"), ("class_id", "int32"), ("prompts", "strings"), ("embedding", "embedding")),
)
DEFAULT_TEMPLATES = ("{}", "an image of a {}", "a {}")
PROMPT_SETS = ("short", "templated", "extended", "both", "words", "definition", "vocabulary")
WRITTEN = "the written word {}"
LOG_SECONDS = 30.0


class Prompt(NamedTuple):
    """One row of a text table, before it is embedded."""

    class_id: int  # -1: belongs to no class
    prompts: tuple[str, ...]


def embed_text(
    *,
    classes: Path,
    weights: Path,
    texts: Sequence[Path],
    prompt_sets: Sequence[str],
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    vocabulary: str | Path | Sequence[str] | None = None,
    written_words: bool = False,
    device: str = "cpu",
    threads: int = 1,
    batch_size: int = 32,
) -> None:
    """Embed prompt sets with the text tower of an encoder or labeller.

    classes, weights : inputs. texts : outputs, TEXT, one per prompt set.
    prompt_sets : of PROMPT_SETS. templates : hold "{}" once, where the name goes.
    vocabulary : "classes" (short names), "imagenet21k" (the synsets timm ships), "general" (short names of
        the classes, and the first lemma of every such synset), a text file with one
        name per line (as a path, or as an input of the rule), or a list of names; repeated names are dropped.
    written_words : the vocabulary ends with "the written word {short name}" for every class.
    Raises RelianceError for an unknown prompt set, a template without "{}", or an empty vocabulary.
    """
    import torch

    from reliance.encoders.model import load_model, load_tokenizer

    torch.set_num_threads(threads)
    table, stamp = read_table(classes, CLASSES)
    names = read_vocabulary(vocabulary, table) if "vocabulary" in prompt_sets else []
    clip = load_model(weights, device)
    tokenizer = load_tokenizer(clip.weights)
    for text, prompt_set in zip(texts, prompt_sets, strict=True):
        rows = list(build_prompts(prompt_set, table, templates, names, written_words))
        flat = [prompt for row in rows for prompt in row.prompts]
        _log_truncated(flat, tokenizer)
        vectors = encode_prompts(clip.model, tokenizer, flat, batch_size)
        finite(
            weights,
            f"text vectors of {prompt_set}",
            vectors,
            step="the text tower of these weights is broken",
        )
        digest = hashlib.sha256("\n".join(flat).encode()).hexdigest()
        params = {"prompt_set": prompt_set, "prompts": digest, "written_words": written_words}
        inputs = {"classes": stamp.id, "weights": clip.stamp.id}
        frame = _frame(rows, vectors)
        _check_means(frame, weights)
        of_classes = prompt_set not in ("vocabulary", "words")
        about = {"twins": _tell_twins(frame, table, text)} if of_classes else None
        write_table(text, frame, TEXT, params, inputs, about=about)
        log.info("%s: %d rows, %d prompts", prompt_set, len(rows), len(flat))


def _frame(rows: Sequence[Prompt], vectors: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "prompt_id": np.arange(len(rows)),
            "class_id": [row.class_id for row in rows],
            "prompts": pd.Series([list(row.prompts) for row in rows], dtype=object),
            "embedding": list(mean_directions(vectors, [len(row.prompts) for row in rows])),
        }
    )


def build_prompts(
    prompt_set: str,
    classes: pd.DataFrame,
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    vocabulary: Sequence[str] = (),
    written_words: bool = False,
) -> Iterator[Prompt]:
    """Rows of a prompt set in the order of prompt_id; see the module's table."""
    for template in templates:
        if template.count("{}") != 1:
            raise RelianceError(
                "templates",
                "a template holds {} once, where the name goes",
                found=template,
                allowed='for example "a photo of a {}"',
                next_step="correct the template",
            )
    ids, short, full = (classes[name].tolist() for name in ("class_id", "short_name", "full_name"))
    if prompt_set == "vocabulary":
        yield Prompt(-1, ("",))
        yield from (Prompt(-1, (name,)) for name in vocabulary)
        if written_words:
            yield from (Prompt(i, (_fill(WRITTEN, name),)) for i, name in zip(ids, short, strict=True))
    elif prompt_set == "words":
        named = [(i, name.split()) for i, name in zip(ids, short, strict=True)]
        yield from (Prompt(i, (word,)) for i, words in named if len(words) > 1 for word in words)
    elif prompt_set in PROMPT_SETS:
        chosen = templates if prompt_set in ("templated", "both") else ("{}",)
        texts = full if prompt_set in ("extended", "both") else short
        texts = classes["definition"].tolist() if prompt_set == "definition" else texts
        yield from (
            Prompt(i, tuple(_fill(t, name) for t in chosen)) for i, name in zip(ids, texts, strict=True)
        )
    else:
        raise RelianceError(
            "prompt_set",
            "a prompt set is one that is known",
            found=prompt_set,
            allowed=", ".join(PROMPT_SETS),
            next_step="correct the name",
        )


def read_vocabulary(vocabulary: str | Path | Sequence[str] | None, classes: pd.DataFrame) -> list[str]:
    """Names of a vocabulary in their order, each once; see `embed_text`."""
    if isinstance(vocabulary, str | Path):
        if str(vocabulary) == "classes":
            names = classes["short_name"].tolist()
        elif str(vocabulary) == "imagenet21k":
            names = imagenet21k_names()
        elif str(vocabulary) == "general":
            names = [*classes["short_name"].tolist(), *imagenet21k_words()]
        else:
            names = read_lines(Path(vocabulary))
    else:
        names = list(vocabulary or ())
    names = list(dict.fromkeys(name for name in (name.strip() for name in names) if name))
    if not names:
        raise RelianceError(
            "vocabulary",
            "a vocabulary has names",
            found=vocabulary,
            allowed="general, classes, imagenet21k, or a text file with one name per line",
            next_step="data without classes needs a vocabulary of its own",
        )
    return names


def encode_prompts(model: Any, tokenizer: Any, prompts: Sequence[str], batch_size: int = 32) -> np.ndarray:
    """Unit text vectors, float32 [n, p]. On a CPU, small batches are several times faster than large ones."""
    import torch

    device = next(model.parameters()).device
    vectors, said = [], time.monotonic()
    with torch.inference_mode():
        for start in range(0, len(prompts), batch_size):
            tokens = tokenizer(list(prompts[start : start + batch_size])).to(device)
            z = model.encode_text(tokens).double()
            vectors.append((z / z.norm(dim=-1, keepdim=True)).float().cpu().numpy())
            advance(start + len(tokens), len(prompts), "prompts")
            if time.monotonic() - said > LOG_SECONDS:
                said = time.monotonic()
                log.info("%d of %d prompts", start + len(tokens), len(prompts))
    return np.concatenate(vectors) if vectors else np.zeros((0, 1), np.float32)


def mean_directions(vectors: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Normalised means of consecutive groups of unit vectors: [sum(counts), p] to [len(counts), p]."""
    if not len(counts):
        return vectors[:0]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sums = np.add.reduceat(vectors.astype(np.float64), starts, axis=0)
    unit: np.ndarray = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return unit.astype(np.float32)


def _check_means(frame: pd.DataFrame, weights: Path) -> None:
    """Raise RelianceError if the prompts of a row cancel out, so that their mean has no direction."""
    for vector, prompts in zip(frame["embedding"], frame["prompts"], strict=True):
        step = "the text tower of these weights is broken"
        finite(weights, f"the mean text vector of {', '.join(prompts)}", np.asarray(vector), step=step)


def _tell_twins(frame: pd.DataFrame, classes: pd.DataFrame, text: Path) -> list[str]:
    """Say which classes of a prompt set cannot both win; a sentence each."""
    if frame.empty:
        return []
    vectors = np.stack(frame["embedding"].to_list())
    pairs = twins(frame["class_id"].to_numpy(), vectors, frame["prompts"].tolist())
    return tell_twins(pairs, dict(zip(classes["class_id"].tolist(), classes["folder"], strict=True)), text)


def _log_truncated(prompts: Sequence[str], tokenizer: Any) -> None:
    """CLIP's tokenizer cuts long prompts and says nothing; this does."""
    encode = getattr(tokenizer, "encode", None)
    if encode is None:
        return
    room = tokenizer.context_length - 2  # begin and end of text
    cut = [prompt for prompt in prompts if len(encode(prompt)) > room]
    if cut:
        log.warning("%d of %d prompts are cut to %d tokens, first: %s", len(cut), len(prompts), room, cut[0])


def _fill(template: str, name: str) -> str:
    return template.replace("{}", name)
