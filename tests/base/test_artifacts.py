"""Ids, stamps, and tables, JSON files and figures that are checked when read."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliance.base import artifacts
from reliance.base.artifacts import Stamp, TableSpec, read_json, read_table, write_json, write_table
from reliance.base.errors import RelianceError

SPEC = TableSpec(
    "things",
    2,
    (
        ("number", "int32"),
        ("big", "int64"),
        ("real", "float32"),
        ("double", "float64"),
        ("flag", "bool"),
        ("text", "string"),
        ("texts", "strings"),
        ("vector", "embedding"),
    ),
)


def things(n: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "vector": list(rng.normal(size=(n, 4)).astype(np.float32)),
            "number": np.arange(n),
            "big": np.arange(n) * 2**40,
            "real": np.where(np.arange(n) == 1, np.nan, rng.normal(size=n)),
            "double": rng.normal(size=n),
            "flag": np.arange(n) % 2 == 0,
            "text": [f"wörd {i}" for i in range(n)],
            "texts": [["a", "b"][: i % 3] for i in range(n)],
        }
    )


def write(path: Path, frame: pd.DataFrame | None = None, spec: TableSpec = SPEC, **more: Any) -> Stamp:
    return write_table(
        path, things() if frame is None else frame, spec, {"p": 1}, {"index": "ab" * 32}, **more
    )


# ---- ids and stamps ----------------------------------------------------------------------------------


def test_an_id_depends_on_everything_it_is_derived_from() -> None:
    given = {"kind": "k", "schema": 1, "params": {"a": 1}, "inputs": {"i": "x"}}
    changes = [
        {"kind": "l"},
        {"schema": 2},
        {"params": {"a": 2}},
        {"params": {"b": 1}},
        {"params": {"a": 1.0}},
    ]
    changes += [
        {"params": {"a": "1"}},
        {"params": {"a": None}},
        {"inputs": {"i": "y"}},
        {"inputs": {"j": "x"}},
    ]
    ids = [artifacts.derived_stamp(**{**given, **change}).id for change in [{}, *changes]]  # type: ignore[arg-type]
    assert len(set(ids)) == len(ids)
    assert all(len(i) == 64 for i in ids)


def test_an_id_is_what_the_documentation_says() -> None:
    record = '{"inputs": {"i": "x"}, "kind": "k", "params": {"a": [1, 2], "b": 0.5}, "schema": 1}'
    found = artifacts.derived_stamp("k", 1, {"b": 0.5, "a": (1, 2)}, {"i": "x"})
    assert found.id == hashlib.sha256(record.encode()).hexdigest()


def test_a_stamp_equals_itself_after_a_round_trip() -> None:
    params = {"tuple": (1, (2, 3)), "nested": {"b": 1, "a": None}, "text": "ü\n", "float": 0.1}
    for stamp in (
        artifacts.derived_stamp("k", 1, params, {"i": "x"}),
        artifacts.content_stamp("k", 1, "0" * 64, params, {"i": "x"}),
    ):
        assert Stamp.from_json(stamp.to_json()) == stamp
        assert "\n" not in stamp.to_json()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Path("x"), np.float32(1), {1, 2}])
def test_values_that_json_cannot_hold_are_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        artifacts.derived_stamp("k", 1, {"a": value}, {})


def test_hash_of_arrays_sees_names_types_shapes_and_values() -> None:
    base = np.arange(6, dtype=np.float32)
    different = [
        {"a": base},
        {"b": base},
        {"a": base.astype(np.float64)},
        {"a": base.reshape(2, 3)},
        {"a": base.reshape(3, 2)},
        {"a": base + 1},
        {"a": -base},
        {"a": base.astype(">f4")},
        {"a": base, "b": base},
        {"a": base[:0]},
        {"a": np.zeros((0, 3), np.float32)},
        {"a": np.float32(0)},
        {"a": np.zeros(1, np.float32)},
        {},
    ]
    hashes = [artifacts.hash_arrays(arrays) for arrays in different]
    assert len(set(hashes)) == len(hashes)


def test_hash_of_arrays_ignores_order_and_memory_layout() -> None:
    a, b = np.arange(12.0).reshape(3, 4), np.ones(2, bool)
    same = [{"a": a, "b": b}, {"b": b, "a": a}, {"a": np.asfortranarray(a), "b": b}]
    same.append({"a": np.repeat(a, 2, axis=1)[:, ::2], "b": b})
    assert len({artifacts.hash_arrays(arrays) for arrays in same}) == 1


def test_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc" * 100_000)
    assert artifacts.hash_file(tmp_path / "x") == hashlib.sha256(b"abc" * 100_000).hexdigest()


# ---- tables ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row_group", [2, 1 << 20])
def test_a_table_comes_back_as_it_was(tmp_path: Path, row_group: int) -> None:
    stamp = write(tmp_path / "t.parquet", things(7), row_group=row_group)
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == (4 if row_group == 2 else 1)
    found = read_table(tmp_path / "t.parquet", SPEC)
    assert found.stamp == stamp == artifacts.derived_stamp("things", 2, {"p": 1}, {"index": "ab" * 32})
    assert list(found.frame) == [name for name, _ in SPEC.columns]
    for name, kind in SPEC.columns:
        expected, column = things(7)[name], found.frame[name]
        if kind == "embedding":
            assert column[0].dtype == np.float32
            np.testing.assert_array_equal(np.stack(column), np.stack(expected))
        elif kind in ("string", "strings"):
            assert column.to_list() == expected.to_list()
        else:
            assert column.dtype == np.dtype(kind)
            np.testing.assert_array_equal(column, expected.astype(kind))


def test_an_empty_table_comes_back_with_its_columns(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", things(0))
    found = read_table(tmp_path / "t.parquet", SPEC).frame
    assert found.shape == (0, len(SPEC.columns))
    assert {n: found[n].dtype for n in ("number", "real", "flag")} == {
        "number": "i4",
        "real": "f4",
        "flag": "?",
    }


def test_a_column_alone(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet")
    assert list(read_table(tmp_path / "t.parquet", SPEC, columns=["text"]).frame) == ["text"]


def test_not_a_number_is_a_value(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet")["real"].null_count == 0
    assert np.isnan(read_table(tmp_path / "t.parquet", SPEC).frame["real"]).tolist() == [False, True, False]


def test_folders_with_an_equals_sign_add_no_column(tmp_path: Path) -> None:
    write(tmp_path / "k=3" / "t.parquet")
    assert "k" not in read_table(tmp_path / "k=3" / "t.parquet", SPEC).frame


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("number", [1, np.nan, 3]),
        ("number", [1.5, 2, 3]),
        ("number", [1, 2, 2**40]),
        ("text", ["a", None, "c"]),
        ("flag", [True, None, False]),
        ("texts", [["a"], None, []]),
    ],
)
def test_values_that_do_not_fit_are_refused(tmp_path: Path, column: str, values: list[Any]) -> None:
    with pytest.raises(ValueError):
        write(tmp_path / "t.parquet", things().assign(**{column: values}))
    assert os.listdir(tmp_path) == []


def test_a_missing_column_is_a_bug_of_the_writer(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        write(tmp_path / "t.parquet", things().drop(columns="text"))


def five_parts(error: pytest.ExceptionInfo[RelianceError], path: Path, *texts: str) -> None:
    """The error names the file and the texts, and has all its parts."""
    parts = (
        error.value.where,
        error.value.rule,
        error.value.found,
        error.value.allowed,
        error.value.next_step,
    )
    assert parts[0] == str(path)
    assert all(parts)
    for text in texts:
        assert text in str(error.value)


def raised(function: Callable[[], object]) -> pytest.ExceptionInfo[RelianceError]:
    with pytest.raises(RelianceError) as error:
        function()
    return error


def test_wrong_tables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    five_parts(raised(lambda: read_table(path, SPEC)), path, "no such file", "it is gone")
    write(path)
    other = SPEC._replace(kind="others")
    five_parts(raised(lambda: read_table(path, other)), path, "'others'", "'things' in schema version 2")
    newer = SPEC._replace(version=3)
    five_parts(raised(lambda: read_table(path, newer)), path, "version 3", "version 2")
    more = SPEC._replace(columns=(*SPEC.columns, ("more", "int32")))
    five_parts(raised(lambda: read_table(path, more)), path, "more missing", "more int32")
    for name, kind in [
        ("number", "int64"),
        ("number", "embedding"),
        ("real", "float64"),
        ("text", "strings"),
        ("vector", "strings"),
    ]:
        changed = SPEC._replace(columns=tuple((n, kind if n == name else k) for n, k in SPEC.columns))
        five_parts(raised(lambda spec=changed: read_table(path, spec)), path, f"{name} {kind}")  # type: ignore[misc]
    changed = SPEC._replace(columns=tuple((n, "embedding" if n == "texts" else k) for n, k in SPEC.columns))
    five_parts(raised(lambda: read_table(path, changed)), path, "texts embedding")
    pq.write_table(pa.table({"number": [1]}), path)
    five_parts(raised(lambda: read_table(path, SPEC)), path, "no stamp")
    for stamp in ("{", "{}", '{"kind": "things"}', "[]"):
        pq.write_table(pa.table({"number": [1]}).replace_schema_metadata({"reliance": stamp}), path)
        five_parts(raised(lambda: read_table(path, SPEC)), path)
    path.unlink()
    path.mkdir()
    five_parts(raised(lambda: read_table(path, SPEC)), path)


def test_a_table_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write(path)
    whole = path.read_bytes()
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        five_parts(raised(lambda: read_table(path, SPEC)), path, "get it again")


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_values_is_refused(
    tmp_path_factory: pytest.TempPathFactory, where: float, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "t.parquet"
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=400)})
    spec = TableSpec("x", 1, (("x", "float64"),))
    write(path, frame, spec)
    whole = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    start, end = column.dictionary_page_offset + 64, column.data_page_offset  # behind the page's own header
    at = start + int(where * (end - start))
    whole[at] ^= 1 << bit
    path.write_bytes(whole)
    assert "x" in str(raised(lambda: read_table(path, spec)).value)


# ---- JSON and meta files -----------------------------------------------------------------------------


def test_json_comes_back_as_it_was(tmp_path: Path) -> None:
    stamp = artifacts.derived_stamp("k", 1, {"a": 1}, {})
    assert write_json(tmp_path / "x.json", {"b": [1, "ü"]}, stamp) == stamp
    assert read_json(tmp_path / "x.json", "k", 1) == ({"b": [1, "ü"]}, stamp)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", {"b": float("nan")}, stamp)
    assert read_json(tmp_path / "x.json", "k", 1)[0] == {"b": [1, "ü"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"reliance": {}}',
        '{"reliance": {"kind": "k"}}',
        '{"reliance": "k"}',
        "\xff",
    ],
)
def test_wrong_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    five_parts(raised(lambda: read_json(path, "k", 1)), path, "no such file")
    path.write_bytes(text.encode("latin-1"))
    five_parts(raised(lambda: read_json(path, "k", 1)), path)


def test_an_edited_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1, "b": [0.1, None, "ü"]}, artifacts.derived_stamp("k", 1, {}, {}))
    assert read_json(path, "k", 1)[0] == {"a": 1, "b": [0.1, None, "ü"]}
    path.write_text(path.read_text().replace(" 1,", " 2,"))
    five_parts(raised(lambda: read_json(path, "k", 1)), path, "checksum")


def test_json_of_another_kind_or_version_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {}, artifacts.derived_stamp("k", 1, {}, {}))
    five_parts(raised(lambda: read_json(tmp_path / "x.json", "l", 1)), tmp_path / "x.json", "'k'", "'l'")
    five_parts(raised(lambda: read_json(tmp_path / "x.json", "k", 2)), tmp_path / "x.json", "version 2")


def test_the_stamp_beside_a_figure(tmp_path: Path) -> None:
    stamp = artifacts.derived_stamp("fig", 1, {}, {})
    (tmp_path / "fig.pdf").write_bytes(b"")
    artifacts.write_meta(tmp_path / "fig.pdf", stamp, n=3)
    assert read_json(f"{tmp_path / 'fig.pdf'}.meta.json", "fig", 1)[1] == stamp
    record = json.loads((tmp_path / "fig.pdf.meta.json").read_text())
    assert record["n"] == 3
    assert record["sha256"] == hashlib.sha256(b"").hexdigest()
    assert record["versions"]["numpy"] == np.__version__
    five_parts(
        raised(lambda: read_json(f"{tmp_path / 'fig.pdf'}.meta.json", "f", 1)[1]),
        tmp_path / "fig.pdf.meta.json",
    )


def test_two_artifacts_must_name_the_same_input() -> None:
    artifacts.check_same("SAE", ("a", "1" * 64), ("b", "1" * 64))
    error = raised(lambda: artifacts.check_same("SAE", ("a", "1" * 64), ("b", "2" * 64)))
    five_parts(error, Path("a"), "SAE", "1" * 12, "2" * 12, "from the same SAE as b")
