"""Layout `parquet`: tables with a column of images, as the hub of Hugging Face has them.

A column holds bytes, or {bytes, path}; another one the class, as a name or as a number that the schema's
metadata gives names to; one of texts says what images show. Splits are told by the names of files and
folders, or by a column. To know the bytes of every image, all of them are read once when they are listed.
"""

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from reliance.base.errors import RelianceError
from reliance.images.captions import USUAL, one_text
from reliance.images.containers.columns import checksum, values_of
from reliance.images.scan import File
from reliance.images.shapes import split_of
from reliance.images.suffixes import is_image
from reliance.images.tree import Fields, Sample, Tree, as_folders, no_containers, split_in

MAGIC = {
    b"\xff\xd8\xff": "jpg",
    b"\x89PNG": "png",
    b"GIF8": "gif",
    b"RIFF": "webp",
    b"BM": "bmp",
    b"II*\0": "tif",
}


class Columns(NamedTuple):
    """What the columns of a file are called."""

    image: str
    nested: bool  # {bytes, path}
    label: str | None
    split: str | None
    name: str | None
    caption: str | None
    classes: list[str] | None  # names by label


def fill(tree: Tree, fields: Fields) -> None:
    """Add the images of all files below the root. Raises RelianceError for one that does not fit."""
    files = tree.find(".parquet")
    if not files:
        raise no_containers(tree, "parquet", ".parquet", "point root at the folder of the parquet files")
    splits = dict.fromkeys(files, "") if fields.split else split_in(tree, files)
    samples: list[Sample] = []
    classes: list[str] | None = None
    for path in files:
        with _opened(tree, path) as file:
            columns = columns_of(tree, path, file.schema_arrow, fields)
            if path != files[0] and columns.classes != classes:
                raise _refused(
                    tree, path, "the classes are the same in all files", f"others than in {files[0]}"
                )
            classes = columns.classes
            samples += [
                s._replace(split=s.split or splits[path]) for s in _samples(tree, path, file, columns)
            ]
    as_folders(tree, samples, classes)


def columns_of(tree: Tree, path: str, schema: Any, fields: Fields) -> Columns:
    """The columns of a file, by its schema. Raises RelianceError if there is none of images."""
    import pyarrow.types as is_

    def images(kind: Any) -> bool:
        binary = is_.is_binary(kind) or is_.is_large_binary(kind)
        return bool(binary or (is_.is_struct(kind) and kind.get_field_index("bytes") >= 0))

    named = [name for name, kind in zip(schema.names, schema.types, strict=True) if images(kind)]
    image = fields.image if fields.image in named else named[0] if len(named) == 1 else None
    if image is None or (fields.image != Fields().image and image != fields.image):
        found = ", ".join(f"{n} {t!s:.40}" for n, t in zip(schema.names, schema.types, strict=True))
        raise _refused(
            tree, path, "a parquet file of images has a column of bytes, or of {bytes, path}", found
        )
    texts = [n for n, kind in zip(schema.names, schema.types, strict=True) if n in USUAL and _is_text(kind)]
    caption = fields.caption or next(iter(texts), None)
    asked = {"label": fields.label, "split": fields.split, "name": fields.name, "caption": caption}
    usual = {"label": Fields().label}
    for key, name in asked.items():
        if name and name not in schema.names and name != usual.get(key):
            rule = f"the column that `fields.{key}` names is there"
            raise _refused(tree, path, rule, f"no {name} among {', '.join(schema.names)}")
    label, split, name, caption = (name if name in schema.names else None for name in asked.values())
    classes = _class_names(schema.metadata or {}, label)
    return Columns(image, is_.is_struct(schema.field(image).type), label, split, name, caption, classes)


def labelled(tree: Tree, fields: Fields) -> bool:
    """Whether there is a column of classes, by the schema of the first file."""
    path = tree.find(".parquet")[0]
    with _opened(tree, path) as file:
        return columns_of(tree, path, file.schema_arrow, fields).label is not None


def _class_names(metadata: dict[bytes, bytes], label: str | None) -> list[str] | None:
    """Names by label from the metadata that the package datasets writes."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def _samples(tree: Tree, path: str, file: Any, columns: Columns) -> Iterator[Sample]:
    import pyarrow as pa

    _, modified = tree.containers[path]
    stem, row = PurePosixPath(path).stem, 0
    with open(tree.root / path, "rb") as raw:
        for group in range(file.num_row_groups):
            try:
                told = _told(file, group, columns)
                column = f"{columns.image}.bytes" if columns.nested else columns.image
                _check_size(tree, path, file, column, group)
                values = values_of(file, column, group)
                chunk = _chunk(file, raw, column, group)
            except (OSError, pa.ArrowException) as error:
                raise _refused(
                    tree, path, "a parquet file is whole", f"{type(error).__name__}: {error}"
                ) from error
            cursor = 0
            for i, (label, split, name, said) in enumerate(told):
                row += 1
                shown = f"{path}, row {row}"
                content = values[i].as_buffer() if values[i].is_valid else None
                if content is None:
                    tree.leave_out(shown, "no bytes in its row")
                    continue
                if isinstance(label, bool) or not isinstance(label, int | str | None):
                    raise _refused(tree, path, "a class is a number or a name", f"{label!r:.80} in row {row}")
                if not isinstance(split, str | None):
                    raise _refused(tree, path, "a split is named by text", f"{split!r:.80} in row {row}")
                found = -1 if chunk is None else _find(chunk[1], content, cursor)
                if chunk is not None and found >= 0:
                    cursor, where = found + len(content), str(chunk[0] + found)
                else:
                    where = f"{column}@{group}.{i}"
                place = f"{path}#{where}+{len(content)}+{checksum(content)}"
                named = _name(name, f"{stem}-{row:07}", content)
                own = File(named, len(content), modified, place, _caption(tree, path, row, said))
                yield Sample(split_of(split) or split if split else "", label, own)


def _check_size(tree: Tree, path: str, file: Any, column: str, group: int) -> None:
    """Raise RelianceError for more images in a group of rows than can be held at once."""
    about = file.metadata.row_group(group)
    part = next(p for p in map(about.column, range(about.num_columns)) if p.path_in_schema == column)
    if part.total_uncompressed_size >= 1 << 31:
        size = f"{part.total_uncompressed_size:,} bytes of {column} in one group of rows"
        raise _refused(tree, path, "a group of rows has less than 2 GiB of images", size)


def _told(file: Any, group: int, columns: Columns) -> Iterator[tuple[Any, Any, Any, Any]]:
    """(label, split, name, caption) of the rows of a group."""
    named = [columns.label, columns.split, columns.name, columns.caption]
    path = f"{columns.image}.path" if columns.nested and not columns.name else None
    wanted = [name for name in (*named, path) if name]
    table = file.read_row_group(group, columns=wanted)
    count = file.metadata.row_group(group).num_rows
    lists = [table.column(n).to_pylist() if n else [None] * count for n in named]
    if path and columns.image in table.column_names:
        lists[2] = [(value or {}).get("path") for value in table.column(columns.image).to_pylist()]
    return zip(*lists, strict=True)


def _caption(tree: Tree, path: str, row: int, said: Any) -> str:
    """The caption of a row. Raises RelianceError if it is none."""
    try:
        return one_text(said)
    except ValueError as error:
        raise _refused(tree, path, "captions are text", f"{error} in row {row}") from error


def _is_text(kind: Any) -> bool:
    """Whether a column has a text, or several, in every row."""
    import pyarrow.types as is_

    kind = kind.value_type if is_.is_list(kind) or is_.is_large_list(kind) else kind
    return bool(is_.is_string(kind) or is_.is_large_string(kind))


def _chunk(file: Any, raw: Any, column: str, group: int) -> tuple[int, bytes] | None:
    """(where it begins, bytes) of a column in a group of rows that is not compressed; None of others."""
    about = file.metadata.row_group(group)
    parts = [about.column(i) for i in range(about.num_columns)]
    part = next(p for p in parts if p.path_in_schema == column)
    if part.compression != "UNCOMPRESSED":
        return None
    start = min(o for o in (part.dictionary_page_offset, part.data_page_offset) if o)
    raw.seek(start)
    return start, raw.read(part.total_compressed_size)


def _find(chunk: bytes, content: Any, cursor: int) -> int:
    """Where bytes lie in a chunk as they are, behind their length; -1 if nowhere."""
    needle = len(content).to_bytes(4, "little") + bytes(content)
    found = chunk.find(needle, cursor)
    found = found if found >= 0 else chunk.find(needle)
    return found + 4 if found >= 0 else -1


def _name(given: Any, otherwise: str, content: Any) -> str:
    """The name of an image: the one it came with, without folders that lead elsewhere; its format behind."""
    name = str(given or "").strip()
    if name.startswith("/") or ".." in name.split("/") or "\\" in name or "://" in name:
        name = name.replace("\\", "/").rsplit("/", 1)[-1]
    name = name or otherwise
    if is_image(name):
        return name
    head = bytes(content[:4])
    return f"{name}.{next((ending for magic, ending in MAGIC.items() if head.startswith(magic)), 'jpg')}"


def _opened(tree: Tree, path: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(tree.root / path)
    except (OSError, pa.ArrowException) as error:
        raise _refused(tree, path, "a parquet file is whole", f"{type(error).__name__}: {error}") from error


def _refused(tree: Tree, path: str, rule: str, found: str) -> RelianceError:
    return RelianceError(
        f"{tree.where}: {path}",
        rule,
        found=found,
        allowed="a column `image` of bytes or {bytes, path}, and one `label`; or those that `fields` names",
        next_step="name the columns in `fields` of the data set, download the file again, or move it away",
    )
