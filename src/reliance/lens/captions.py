"""Captions for an image generator, and the folders in which its images are looked for (V3).

A row of `lens/captions.csv` is what to have drawn, and where to put the images: `folder` is
{way}/{shown}__{target}, the names of the folders of the two classes. `lens.generated` names the folder above.
The ways are those of `findings.WAYS` that take no pictures of one's own: words by what neurons write, words
along the difference of the prompts, words at random, and no words.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reliance.base.artifacts import derived_stamp, write_meta
from reliance.base.writing import atomic

BETWEEN = "__"  # the two classes of a folder
IN_CAPTION = 3  # words of a caption
COLUMNS = ("folder", "way", "shown", "target", "caption")
KIND, SCHEMA = "lens_captions", 1


def captioned(shown: str, words: Sequence[str]) -> str:
    """What an image generator is asked for; "" without words."""
    chosen = list(words[:IN_CAPTION])
    if not chosen:
        return ""
    listed = " and ".join([", ".join(chosen[:-1]), chosen[-1]] if len(chosen) > 1 else chosen)
    return f"{bare(shown)}, with {listed}"


def bare(shown: str) -> str:
    """The caption without anything that should mislead."""
    return f"a photo of a {shown}"


def captions_of(
    shown: Mapping[Any, Any], target: Mapping[Any, Any], words: Mapping[str, Sequence[str]]
) -> list[dict[str, str]]:
    """Rows of COLUMNS of two classes (rows of CLASSES); words : of each way, the heaviest first.

    A way without words has no row.
    """
    name = str(shown["short_name"])
    captions = {way: captioned(name, own) for way, own in words.items()} | {"nothing": bare(name)}
    pair = f"{shown['folder']}{BETWEEN}{target['folder']}"
    said = {"shown": name, "target": str(target["short_name"])}
    return [
        {"folder": f"{way}/{pair}", "way": way, **said, "caption": caption}
        for way, caption in captions.items()
        if caption
    ]


def write_captions(
    path: Path, rows: Sequence[Mapping[str, str]], params: Mapping[str, Any], inputs: Mapping[str, str]
) -> None:
    """Write rows of COLUMNS as CSV, with its stamp beside it."""
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_meta(path, derived_stamp(KIND, SCHEMA, params, inputs))
