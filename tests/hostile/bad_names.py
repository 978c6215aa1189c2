"""Names of classes, vocabularies, prompts and templates."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from reliance.config.resolve import check_file
from reliance.encoders.text import build_prompts, read_vocabulary
from reliance.images.classes import class_table

from .bad import CONTROL, HTML, LONG, RTL, Bad, gives, refused

HEAD = "folder,short_name,full_name\n"
CLASSES = pd.DataFrame(
    {"class_id": [0], "short_name": [HTML], "full_name": [RTL], "definition": ["{0.__class__}"]}
)


def names(
    label: str, text: str | bytes, check: Callable[..., None], folders: tuple[str, ...] = ("a",)
) -> Bad:
    """A names.csv; it gives the full names of the classes."""

    def run(folder: Path) -> object:
        path = folder / "names.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return class_table(folders, path)["full_name"].tolist()

    return Bad(f"names: {label}", run, check)


def vocabulary(label: str, text: str | bytes, check: Callable[..., None]) -> Bad:
    def run(folder: Path) -> object:
        path = folder / "words.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_vocabulary(path, CLASSES)

    return Bad(f"vocabulary: {label}", run, check)


def prompts(label: str, template: str, prompt_set: str, check: Callable[..., None]) -> Bad:
    def run(folder: Path) -> Any:
        return [p for row in build_prompts(prompt_set, CLASSES, [template]) for p in row.prompts]

    return Bad(f"prompt: {label}", run, check)


WORDS, CSV = "words.txt", "names.csv"
CASES = [
    names("missing column", "folder,short_name\na,b\n", refused("names.csv, line 1", "without full_name")),
    names("unknown column", HEAD.strip() + ",color\n", refused("names.csv, line 1", "unknown color")),
    names(
        "a column twice", "folder,folder,short_name,full_name\n", refused("names.csv, line 1", "twice folder")
    ),
    names(
        "semicolons instead of commas", "folder;short_name;full_name\na;b;c\n", refused("names.csv, line 1")
    ),
    names("empty file", "", refused("names.csv, line 1", "without folder")),
    names(
        "a folder twice", HEAD + "a,b,c\na,d,e\n", refused("line 3, column folder", "a for the second time")
    ),
    names("a folder without name", HEAD + "a,b,c\n", refused(CSV, "no name for z"), ("a", "z")),
    names("an unknown folder", HEAD + "a,b,c\n../../etc,d,e\n", gives(["c"])),
    names("empty name", HEAD + "a,,c\n", refused("line 2, column short_name", "nothing")),
    names("blank name", HEAD + "a, \u00a0 ,c\n", refused("line 2, column short_name", "nothing")),
    names("too many cells", HEAD + "a,tench, Tinca tinca,c\n", refused("line 2", "4 values")),
    names(
        "100,000 characters", HEAD + f"a,b,{LONG}\n", refused("line 2, column full_name", "100000 characters")
    ),
    names("200,000 characters", HEAD + f"a,b,{LONG}{LONG}\n", refused(CSV, "field limit")),
    names("control characters", HEAD + f"a,b,{CONTROL}\n", refused("line 2, column full_name", "U+001B")),
    names("a line break in a name", HEAD + 'a,b,"c\nd"\n', refused("column full_name", "U+000A")),
    names("a NUL byte", HEAD + "a,b,c\0d\n", refused("line 2, column full_name", "U+0000")),
    names("a separator of lines", HEAD + "a,b,c\u2028d\n", refused("line 2, column full_name", "U+2028")),
    names("HTML", HEAD + f'a,b,"{HTML}"\n', gives([HTML])),
    names("right to left", HEAD + f"a,b,{RTL}\n", gives([RTL])),
    names("braces", HEAD + "a,b,{0.__class__}\n", gives(["{0.__class__}"])),
    names("a byte order mark", "\ufeff" + HEAD + "a,b,c\n", gives(["c"])),
    names("latin-1", (HEAD + "a,b,Käuzchen\n").encode("latin-1"), refused(CSV, "UnicodeDecodeError")),
    names("UTF-16", (HEAD + "a,b,c\n").encode("utf-16"), refused(CSV, "UnicodeDecodeError")),
    names("a quote never closed", HEAD + 'a,b,"c\n', refused(CSV, "unexpected end of data")),
    names("an image", b"\x89PNG\r\n\x1a\n\0\0", refused(CSV, "UnicodeDecodeError")),
    Bad("names: a folder", lambda f: class_table(["a"], f), refused("test_bad_input", "IsADirectoryError")),
    Bad(
        "names: no file",
        lambda f: check_file("datasets.mine.names", str(f / "x")),
        refused("datasets.mine.names"),
    ),
    Bad(
        "names: a device",
        lambda f: check_file("datasets.mine.names", "/dev/zero"),
        refused("datasets.mine.names"),
    ),
    vocabulary("empty file", "", refused(WORDS, "no name in it")),
    vocabulary("only blank lines", "\n \r\n\t\n", refused(WORDS, "no name in it")),
    vocabulary("a byte order mark", "\ufeffcat\r\ncat\r\n", gives(["cat"])),
    vocabulary(
        "a line of 100,000 characters", f"cat\n{LONG}\n", refused("words.txt, line 2", "100000 characters")
    ),
    vocabulary(
        "right to left", f"{RTL}\n\u05d7\u05ea\u05d5\u05dc\n", gives([RTL, "\u05d7\u05ea\u05d5\u05dc"])
    ),
    vocabulary("a NUL byte", "cat\nd\0g\n", refused("words.txt, line 2", "U+0000")),
    vocabulary("control characters", CONTROL, refused("words.txt, line 1", "U+001B")),
    vocabulary("an old line break", "cat\x0bdog\n", refused("words.txt, line 1", "U+000B")),
    vocabulary(
        "braces", "{0.__class__.__init__.__globals__}\n", gives(["{0.__class__.__init__.__globals__}"])
    ),
    vocabulary("HTML", f"{HTML}\n", gives([HTML])),
    vocabulary("latin-1", "Käuzchen".encode("latin-1"), refused(WORDS, "UnicodeDecodeError")),
    vocabulary("a folder of names", b"\xff\xfec\0a\0t\0", refused(WORDS, "UnicodeDecodeError")),
    Bad("vocabulary: no such file", lambda f: read_vocabulary(f / "none.txt", CLASSES), refused("none.txt")),
    Bad(
        "vocabulary: a folder",
        lambda f: read_vocabulary(f, CLASSES),
        refused("test_bad_input", "IsADirectoryError"),
    ),
    Bad("vocabulary: none", lambda f: read_vocabulary(None, CLASSES), refused("vocabulary")),
    prompts("template without a place", "a photo", "templated", refused("templates", "a photo")),
    prompts("template with two places", "{} and {}", "templated", refused("templates", "{} and {}")),
    prompts(
        "template that reads attributes", "{0.__class__}", "templated", refused("templates", "{0.__class__}")
    ),
    prompts("template that is empty", "", "templated", refused("templates", "''")),
    prompts("template with braces and HTML", "<b>{{0}} {}", "templated", gives([f"<b>{{{{0}}}} {HTML}"])),
    prompts("names with HTML", "{}", "short", gives([HTML])),
    prompts("names from right to left", "{}", "extended", gives([RTL])),
    prompts("definition with braces", "{}", "definition", gives(["{0.__class__}"])),
    prompts("unknown prompt set", "{}", "../words", refused("prompt_set", "../words")),
]
