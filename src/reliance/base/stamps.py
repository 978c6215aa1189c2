"""The stamp of any artifact: of tables, tensors, JSON, and of files with a `.meta.json` beside them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reliance.base.artifacts import ABOUT_KEY, STAMP_KEY, Stamp, unreadable

META = ".meta.json"


def read_stamp(path: Path) -> Stamp:
    """The stamp of an artifact. Raises RelianceError if it has none that can be read."""
    import pyarrow as pa
    from safetensors import SafetensorError

    try:
        return STAMPED.get(path.suffix, _beside)(path)
    except (OSError, KeyError, TypeError, ValueError, SafetensorError, pa.ArrowException) as error:
        raise unreadable(path, "stamped", error) from error


def read_about(path: str | Path) -> dict[str, Any]:
    """What `write_table` was told about a table, {} if nothing. The table is one that `read_table` took."""
    import pyarrow.parquet as pq

    text = (pq.read_schema(path).metadata or {}).get(ABOUT_KEY.encode())
    return dict(json.loads(text)) if text else {}


def _of_table(path: Path) -> Stamp:
    import pyarrow.parquet as pq

    return Stamp.from_json((pq.read_schema(path).metadata or {})[STAMP_KEY.encode()])


def _of_tensors(path: Path) -> Stamp:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return Stamp.from_json((file.metadata() or {})[STAMP_KEY])


def _of_json(path: Path) -> Stamp:
    return Stamp(**json.loads(path.read_text(encoding="utf-8"))[STAMP_KEY])


def _beside(path: Path) -> Stamp:
    return _of_json(Path(f"{path}{META}"))


STAMPED: dict[str, Callable[[Path], Stamp]] = {
    ".parquet": _of_table,
    ".safetensors": _of_tensors,
    ".json": _of_json,
}
