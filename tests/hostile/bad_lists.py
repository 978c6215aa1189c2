"""Reviews, lists of failure cases from elsewhere, and artifacts that are not what their place says."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from reliance.base.artifacts import derived_stamp, read_json, read_table, write_json, write_table
from reliance.config.resolve import check_file
from reliance.failures.case_list import COLUMNS, FAILURE_SAMPLES, read_failures, read_samples, write_failures
from reliance.failures.external import check_cases, folder_cases
from reliance.failures.reviews import read_reviews
from reliance.images.cases import list_cases
from reliance.images.scan import Scanner
from reliance.images.tables import CLASSES, INDEX

from .bad import CONTROL, HTML, LONG, RTL, Bad, gives, refused

SAE = "abcdef12" + "0" * 56
ID = "3-7-abcdef12"
REVIEW = "failure_id\tkind\tnote\n"
CASE = {
    "failure_id": "1",
    "rank": "1",
    "kind": "other",
    "mode": "",
    "class_id": "3",
    "source": "user",
    "component": "7",
    "score": "",
    "q_value": "",
    "reviewed": "no",
    "note": "",
}
STAMP = derived_stamp("other", 1, {}, {})


def review(label: str, text: str | bytes, check: Callable[..., None]) -> Bad:
    """A review file; it gives the notes."""

    def run(folder: Path) -> object:
        path = folder / "r.tsv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return [found.note for found in read_reviews(path, SAE).values()]

    return Bad(f"review: {label}", run, check)


def listing(label: str, check: Callable[..., None], **cells: str) -> Bad:
    """A list of cases written by hand; it gives the one case's cells that were set."""

    def run(folder: Path) -> object:
        path = folder / "list.tsv"
        rows = "\t".join(COLUMNS), "\t".join({**CASE, **cells}[name] for name in COLUMNS)
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        found = read_failures(path)[0]
        return {name: found[name][0] for name in cells}

    return Bad(f"list: {label}", run, check)


def samples(label: str, frame: pd.DataFrame, check: Callable[..., None]) -> Bad:
    def run(folder: Path) -> object:
        frame.to_parquet(folder / "s.parquet")
        return read_samples(folder / "s.parquet")[0]["split"].tolist()

    return Bad(f"samples: {label}", run, check)


def table(label: str, make: Callable[[Path], object], check: Callable[..., None]) -> Bad:
    """Something in the place of an index."""

    def run(folder: Path) -> object:
        make(folder / "index.parquet")
        return read_table(folder / "index.parquet", INDEX)

    return Bad(f"artifact: {label}", run, check)


def record(label: str, text: str, check: Callable[..., None]) -> Bad:
    """Something in the place of an artifact in JSON."""

    def run(folder: Path) -> object:
        (folder / "a.json").write_text(text)
        return read_json(folder / "a.json", "other", 1)

    return Bad(f"artifact: {label}", run, check)


def cut_off(path: Path) -> None:
    write_table(path, INDEX_ROWS, INDEX, {}, {})
    path.write_bytes(path.read_bytes()[:-9])


def edited_record(folder: Path) -> object:
    write_json(folder / "a.json", {"n": 1}, STAMP)
    (folder / "a.json").write_text((folder / "a.json").read_text().replace('"n": 1', '"n": 2'))
    return read_json(folder / "a.json", "other", 1)


def edited_list(folder: Path) -> object:
    frame = pd.DataFrame([CASE]).assign(score=float("nan"), q_value=float("nan"))
    write_failures(folder / "f.tsv", frame, derived_stamp("failures", 2, {}, {}))
    (folder / "f.tsv").write_text((folder / "f.tsv").read_text().replace("other", "compound"))
    return read_failures(folder / "f.tsv")


def case_folder(label: str, name: str, check: Callable[..., None]) -> Bad:
    """A folder of images of a case, in a list for a data set with the classes 0 to 9."""

    def run(folder: Path) -> object:
        (folder / "root" / name).mkdir(parents=True)
        (folder / "root" / name / "1.jpg").write_bytes(b"abc")
        groups = list_cases(Scanner(folder / "root", "external_lists.mine.root"), TEN)
        rows = [(i, file.path) for group in groups for i, file in enumerate(group.files)]
        frame = pd.DataFrame(rows, columns=["image_id", "path"])
        cases, images = folder_cases(folder, frame, "mine", "user", None)
        check_cases(folder, cases, images, set(range(10)))
        return cases["failure_id"].tolist()

    return Bad(f"case: {label}", run, check)


TEN = pd.DataFrame({"class_id": range(10), "folder": list("abcdefghij"), "short_name": list("abcdefghij")})
INDEX_ROWS = pd.DataFrame({"split": ["train"], "image_id": 0, "path": "a", "class_id": 0, "bytes": 1})
SAMPLE = pd.DataFrame({"failure_id": ["1"], "dataset": "d", "split": "train", "image_id": 0})
WHOLE = "a whole number"
CASES = [
    review("empty file", "", refused("r.tsv", "without failure_id")),
    review("only a heading", REVIEW, gives([])),
    review("blanks instead of tabs", "failure_id kind note\n", refused("r.tsv", "without failure_id")),
    review(
        "a column twice", f"{REVIEW.strip()}\tkind\n{ID}\tother\t\tcompound\n", refused("r.tsv", "kind twice")
    ),
    review("unknown kind", f"{REVIEW}{ID}\tfunny\t\n", refused("line 2, column kind", "funny")),
    review("no kind", f"{REVIEW}{ID}\n", refused("line 2, column kind", "''")),
    review("path traversal as id", f"{REVIEW}../../x\tother\t\n", refused("column failure_id", "../../x")),
    review("HTML as id", f"{REVIEW}{HTML}\tother\t\n", refused("column failure_id", "<script>")),
    review("a case twice", f"{REVIEW}{ID}\tother\t\n{ID}\tother\t\n", refused("r.tsv", f"{ID} twice")),
    review("a case of another SAE", f"{REVIEW}3-7-00000000\tother\t\n", refused("r.tsv", "00000000")),
    review("a note of 100,000 characters", f"{REVIEW}{ID}\tother\t{LONG}\n", refused("line 2, column note")),
    review("a cell of 200,000 characters", f"{REVIEW}{ID}\tother\t{LONG}{LONG}\n", refused("r.tsv", "limit")),
    review("a note with HTML", f"{REVIEW}{ID}\tother\t{HTML}\n", gives([HTML])),
    review("a note from right to left", f"{REVIEW}{ID}\tother\t{RTL}\n", gives([RTL])),
    review("a note with control characters", f"{REVIEW}{ID}\tother\t{CONTROL}\n", gives([CONTROL])),
    review(
        "a formula of a spreadsheet",
        f"{REVIEW}{ID}\tother\t=cmd|' /c calc'!A0\n",
        gives(["=cmd|' /c calc'!A0"]),
    ),
    review(
        "a quote never closed",
        f'{REVIEW}{ID}\tother\t"oops\n4-1-abcdef12\tother\t\n',
        refused("r.tsv", "end of data"),
    ),
    review(
        "latin-1",
        f"{REVIEW}{ID}\tother\tKäuzchen\n".encode("latin-1"),
        refused("r.tsv", "UnicodeDecodeError"),
    ),
    review("an image", b"\x89PNG\r\n\x1a\n\0", refused("r.tsv", "UnicodeDecodeError")),
    Bad("review: a folder", lambda f: read_reviews(f, SAE), refused("test_bad_input", "IsADirectoryError")),
    listing("class with underscores", refused("column class_id", "1_0"), class_id="1_0"),
    listing("class of 5,000 digits", refused("column class_id", "999"), class_id="9" * 5000),
    listing("class in other digits", refused("column class_id", "\u0663"), class_id="\u0663"),
    listing("score that is infinite", refused("column score", "inf"), score="inf"),
    listing("score that is not a number", refused("column score", "nan"), score="nan"),
    listing("unknown source", refused("column source", "me"), source="me"),
    listing("no id", refused("column failure_id", "''"), failure_id=""),
    listing("id of 100,000 characters", refused("column failure_id", "xxx"), failure_id=LONG),
    listing("id with HTML", gives({"failure_id": HTML}), failure_id=HTML),
    Bad("list: edited in place", edited_list, refused("f.tsv", "its content")),
    Bad(
        "list: no such file",
        lambda f: read_failures(f / "none.tsv"),
        refused("none.tsv", "FileNotFoundError"),
    ),
    Bad(
        "list: a device",
        lambda f: check_file("external_lists.mine.failures", "/dev/zero"),
        refused("external_lists.mine"),
    ),
    samples("no column split", SAMPLE.drop(columns="split"), refused("s.parquet", "without split")),
    samples("fractions", SAMPLE.assign(image_id=0.5), refused("s.parquet", "fractions")),
    samples("empty cells", SAMPLE.assign(dataset=None), refused("s.parquet", "empty cells")),
    samples("numbers as names", SAMPLE.assign(split=7), refused("s.parquet", "not text in split")),
    samples("HTML", SAMPLE.assign(split=HTML), gives([HTML])),
    Bad("samples: a text file", lambda f: read_samples(Path(__file__)), refused(__file__, "ArrowInvalid")),
    case_folder("no class", "shark_1", refused("external_lists.mine.root/shark_1", "shark_1")),
    case_folder("an unknown class", "12_shark_1", refused("12_shark_1", "class 12")),
    case_folder("a component that is none", "2_shark_fin", refused("2_shark_fin", "2_shark_fin")),
    case_folder("a component of 200 digits", "2_shark_" + "9" * 200, refused("2_shark_9", "999")),
    case_folder("a class of 200 digits", "9" * 200 + "_1", refused("999", "999")),
    case_folder("two classes", "2_shark_class_7_comp_1", refused("2_shark_class_7_comp_1", "2 and 7")),
    case_folder("the published form", "0_class_4_comp_7", gives(["4-7-mine"])),
    case_folder("HTML in its name", "2_<b>_1", gives(["2-1-mine"])),
    table("no file", lambda path: None, refused("index.parquet", "no such file")),
    table("empty", lambda path: path.write_bytes(b""), refused("index.parquet", "ArrowInvalid")),
    table("a text", lambda path: path.write_text(HTML), refused("index.parquet", "ArrowInvalid")),
    table("cut off", cut_off, refused("index.parquet", "ArrowInvalid")),
    table("a folder", lambda path: path.mkdir(), refused("index.parquet", "")),
    table("without stamp", INDEX_ROWS.to_parquet, refused("index.parquet", "no stamp")),
    table(
        "of another kind",
        lambda path: write_table(path, SAMPLE, FAILURE_SAMPLES, {}, {}),
        refused("index.parquet", "failure_samples"),
    ),
    table(
        "of another version",
        lambda path: write_table(path, INDEX_ROWS, INDEX._replace(version=99), {}, {}),
        refused("index.parquet", "version 99"),
    ),
    table(
        "without a column",
        lambda path: write_table(path, INDEX_ROWS, INDEX._replace(columns=INDEX.columns[:3]), {}, {}),
        refused("index.parquet", "class_id missing"),
    ),
    table(
        "with a stamp of rubbish",
        lambda path: pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({"reliance": HTML}), path),
        refused("index.parquet", "JSONDecodeError"),
    ),
    record("JSON that is none", "{", refused("a.json", "JSONDecodeError")),
    record("JSON that is a list", "[1]", refused("a.json", "no stamp")),
    record(
        "JSON with a strange stamp", json.dumps({"reliance": {"kind": HTML}}), refused("a.json", "TypeError")
    ),
    record("JSON nested 100,000 deep", "[" * 100_000, refused("a.json", "RecursionError")),
    record("JSON with a number of 5,000 digits", "9" * 5000, refused("a.json", "ValueError")),
    Bad("artifact: JSON that was edited", edited_record, refused("a.json", "checksum")),
    Bad(
        "artifact: classes in the place of an index",
        lambda f: read_table(_classes(f), INDEX),
        refused("c.parquet", "classes"),
    ),
]


def _classes(folder: Path) -> Path:
    row = {"class_id": [0], "folder": "a", "short_name": "a", "full_name": "a", "definition": ""}
    write_table(folder / "c.parquet", pd.DataFrame(row), CLASSES, {}, {})
    return folder / "c.parquet"
