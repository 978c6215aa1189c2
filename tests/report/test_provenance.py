import pandas as pd
import pytest

from reliance.base.artifacts import TableSpec, derived_stamp, write_json, write_meta, write_table
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.report import provenance

SPEC = TableSpec("thing", 3, (("a", "int64"),))


def test_stamps_of_tables_json_and_files_beside_them(tmp_path):
    table, record, figure = (tmp_path / name for name in ("t.parquet", "j.json", "f.png"))
    stamp = write_table(table, pd.DataFrame({"a": [1]}), SPEC, {}, {})
    other = write_json(record, {"x": 1}, derived_stamp("record", 1, {}, {}))
    figure.write_bytes(b"")
    write_meta(figure, other)
    grid = provenance.artifacts([table, record, figure])
    assert grid.rows[0] == [str(table), "thing (schema 3)", stamp.id]
    assert [row[2] for row in grid.rows[1:]] == [other.id, other.id]


@pytest.mark.parametrize("name", ["t.parquet", "j.json", "f.png"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"nonsense"])
def test_a_file_without_a_stamp_is_an_error(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RelianceError, match=name):
        read_stamp(path)


def test_times_are_those_of_the_owners(tmp_path):
    own = ("fig5/demo", "encode/demo.train.0-of-1")
    others = (
        "fig5/demo_early",
        "index_images/planted",
        "compare_fig5/demo",
        "fig5/demo.n20",
        "fig5/demo.n20.x",
    )
    for job in (*own, *others):
        path = tmp_path / f"{job}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\n1.5\t0:00:01\t1\t2\t3\t200.5\n")
    grid = provenance.times(tmp_path, ["demo"])
    assert grid.rows == [["encode", "demo.train.0-of-1", "1.5", "200.5"], ["fig5", "demo", "1.5", "200.5"]]
    assert [row[1] for row in provenance.times(tmp_path, ["demo.n20"]).rows] == ["demo.n20", "demo.n20.x"]
    assert provenance.times(tmp_path / "none", ["demo"]).rows == []


def test_versions_name_python_and_the_packages():
    names = [row[0] for row in provenance.versions().rows]
    assert names == ["python", *provenance.PACKAGES]


def test_settings_are_flattened():
    rows = provenance.settings_rows({"sae": {"m": 2, "decay_at": [1, 2]}, "x": None, "empty": {}})
    assert rows == [["sae.m", "2"], ["sae.decay_at", "[1, 2]"], ["x", "null"], ["empty", "{}"]]


def test_the_atlas_is_asked_for_with_the_configuration_of_the_page():
    found = provenance.commands("snakemake results/pets/report.html --cores 2 --configfile mine.yaml", "pets")
    assert (
        found["atlas_command"] == "snakemake --cores 2 results/pets/atlas/index.html --configfile mine.yaml"
    )
    assert found["command"].startswith("snakemake results/pets/report.html")
    assert provenance.commands("", "demo")["atlas_command"].endswith("results/demo/atlas/index.html")
