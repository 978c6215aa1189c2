"""Texts about images: a table of them, and the words and phrases that they have in common as a vocabulary."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError, run_again
from reliance.base.writing import atomic
from reliance.images.groups import match
from reliance.images.isic_tables import IMAGE_COLUMNS, CsvTable, records, rows_of
from reliance.images.shapes import Group
from reliance.images.tables import INDEX

USUAL = ("caption", "text")  # what columns of captions are called
COUNTED = 200_000  # images whose captions are counted
NAMES = 10_000  # of a vocabulary
LONGEST = 3  # words of a phrase
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
# Words that no name begins or ends with.
FILLING = frozenset(
    """
    a about above after all along also an and another are around as at be been before behind being below
    beside between both but by can down during each few for from had has have he her here hers him his how i
    if in inside into is it its it's just many me more most my near next no not of off on one onto or other
    our out over own several she some such than that the their them then there these they this those three
    through to together two under up very was we were what when where which while who with without you your
    """.split()  # noqa: SIM905
)


def captioned(table: Path, groups: Sequence[Group]) -> list[Group]:
    """The groups with what a table says about their images.

    table : a CSV with a column `image` (a path below the root or the name of a file, as for ids of groups) or
        `file_name`, and one `caption` or `text`. Several rows about one image are several texts.
    Raises RelianceError if it is none, is about none of the images, or an entry can be several of them.
    """
    paths = [file.path for group in groups for file in group.files]
    known = match(table, [(e, {"caption": t}) for e, t in _listed(table).items()], paths, "captions")
    of = {path: own["caption"] for path, own in zip(paths, known, strict=True) if own}
    return [
        group._replace(files=[file._replace(caption=of.get(file.path, file.caption)) for file in group.files])
        for group in groups
    ]


def one_text(value: object) -> str:
    """The caption of an image from what a container has for it: text, or several. Raises ValueError."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return "\n".join(text.strip() for text in value)
    raise ValueError(f"a caption is text, or several of them, found {type(value).__name__}")


def count_captions(*, index: Path, vocabulary: Path) -> None:
    """Stage: what the captions of the training images often name, the most frequent first.

    index : INDEX, with the column caption. vocabulary : output, one name per line, see `phrases`. At most
    COUNTED images are counted, evenly spaced. Raises RelianceError if there is no caption.
    """
    table = read_table(index, INDEX, columns=["split", "caption"]).frame
    texts = table.loc[table["split"] == "train", "caption"].tolist() if "caption" in table else []
    names = phrases(texts[:: max(1, len(texts) // COUNTED)])
    if not names:
        raise RelianceError(
            index,
            "a vocabulary of captions is made of words that two images have in common",
            found="no such word" if any(texts) else "images without captions",
            allowed="KEY.txt in shards, a column `caption` or `text` in parquet files, a table as `captions`",
            next_step="name the column in `fields`, or take another vocabulary; then "
            + run_again("index_images"),
        )
    with atomic(vocabulary) as temporary:
        temporary.write_text("\n".join(names) + "\n", encoding="utf-8")


def phrases(captions: Iterable[str]) -> list[str]:
    """Words, and phrases of up to LONGEST words, that at least two images have in their captions.

    Sorted by how many have them, then by letters; NAMES at most. A part that is never seen without the
    whole ("polka" of "polka dots") is left out. Words that only fill begin and end no name.
    """
    counts: Counter[str] = Counter()
    for caption in captions:
        counts.update(set(_names(caption)))
    common = {name: n for name, n in counts.items() if n > 1}
    parts = {
        part for name, n in common.items() for part in _names(name) if part != name and common[part] == n
    }
    ranked = sorted(common.keys() - parts, key=lambda name: (-common[name], name))
    return ranked[:NAMES]


def _names(caption: str) -> Iterator[str]:
    """Runs of words of a caption that could be names, over no other sign than spaces."""
    for piece in re.split(r"[^\w\s'’-]+|\n", caption.lower()):
        words = [word if WORD.fullmatch(word) else "" for word in piece.split()]
        for start, first in enumerate(words):
            if first and first not in FILLING:
                for end in range(start + 1, min(start + LONGEST, len(words)) + 1):
                    if not words[end - 1]:
                        break
                    if words[end - 1] not in FILLING:
                        yield " ".join(words[start:end])


def _listed(table: Path) -> dict[str, str]:
    """Entry -> its texts, of the rows of a table that have both."""
    header = next(rows_of(table), [])
    image = next((name for name in (*IMAGE_COLUMNS, "file_name") if name in header), None)
    text = next((name for name in USUAL if name in header), None)
    if image is None or text is None:
        raise RelianceError(
            f"{table}, line 1",
            "a table of captions has a column that names the image, and one with the text",
            found=", ".join(header) or "nothing",
            allowed="image,caption, for example",
            next_step="correct the first line (a file with semicolons must be saved with commas)",
        )
    found: dict[str, str] = {}
    for row in records(CsvTable(table, header, image)):
        entry, said = row.get(image, "").strip(), row.get(text, "").strip()
        if entry and said:
            found[entry] = f"{found[entry]}\n{said}" if entry in found else said
    return found
