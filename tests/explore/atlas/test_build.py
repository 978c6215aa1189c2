import json

import numpy as np
import pytest

from reliance.attribution.schema import ATTRIBUTIONS, OUTPUTS
from reliance.base.artifacts import hash_file, read_json, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.explore.atlas import build
from reliance.explore.atlas.build import AboutAtlas, opened

TAG = "<b>striped</b> cloth"  # in the names of some units


def test_the_first_chunk_has_every_unit_that_fires(made):
    core, table = made.data("core"), opened(made.files, "made").components
    units = core["units"]
    firing = table[table["n_active"] > 0].set_index("component")
    assert sorted(units["id"]) == firing.index.tolist()
    columns = [
        units[name]
        for name in ("label", "sure", "clarity", "alignment", "activation", "rate", "x", "y", "drives")
    ]
    assert {len(column) for column in columns} == {len(firing)}
    for row, unit in enumerate(units["id"]):
        assert units["words"][units["label"][row]] == firing["name"][unit]
        assert units["activation"][row] == pytest.approx(100 * firing["top20_mean"][unit], abs=0.51)
    ranked = [case["unit"] for case in core["cases"]]
    assert units["id"][: len(ranked)] == ranked


def test_records_are_those_of_the_tables(made):
    shelf, units, records = (
        opened(made.files, "made"),
        made.data("core")["units"]["id"],
        made.records("units"),
    )
    assert len(records) == len(units)
    top = shelf.top_samples.set_index("component")
    for unit, record in list(zip(units, records, strict=True))[::17]:
        own = top.loc[[unit]].sort_values("rank")
        assert [e[1] for e in record["examples"]] == own["image_id"].tolist()[: len(record["examples"])]
        assert sum(record["histogram"]) == record["n"]
        pairs = shelf.expectations.query("component == @unit and mean > 0")
        best = pairs.sort_values("mean", ascending=False)["class_id"].tolist()
        assert [d[0] for d in record["drives"]] == best[:6]  # every class has the same mean output here
        assert [d[1] for d in record["drives"]] == pytest.approx(
            (pairs["mean"].sort_values()[::-1] / 0.3)[:6], rel=1e-3
        )


def test_images_have_the_relevances_that_a_study_computes(made):
    shelf, records = opened(made.files, "made"), made.records("images")
    shelf._paths["texts"] = {"short": made.files.text}
    cases = {i[0]: c for c in made.records("cases") for i in c["images"]}
    assert set(cases) <= set(range(len(records)))
    for number, record in list(enumerate(records))[::23]:
        for class_id, (y, *values) in record["r"].items():
            found = shelf.relevances(record["i"], record["s"], int(class_id))
            assert y == pytest.approx(1e4 * found.attrs["y"], abs=0.51)
            ours = dict(zip(record["u"], values, strict=True))
            theirs = dict(zip(found["component"], found["ablation"] * 1e5, strict=True))
            assert ours == pytest.approx({unit: theirs[unit] for unit in ours}, abs=0.52)
        asked = {record["c"], record["top"][0][0]} | ({cases[number]["class"]} if number in cases else set())
        assert asked <= {int(c) for c in record["r"]}


def test_cases_and_classes_say_what_is_expected_and_what_is_not(made):
    core, cases, classes = made.data("core"), made.records("cases"), made.records("classes")
    assert [c["id"] for c in core["cases"]] == [c["id"] for c in cases]
    scores = [c["score"] for c in cases]
    assert scores == sorted(scores, reverse=True)
    for case in cases:
        relevance = [image[5] for image in case["images"]]
        assert relevance == sorted(relevance, reverse=True)
        assert len(case["areas"]) == 5
        (own,) = [c for c in classes if c["id"] == case["class"]]
        assert case["unit"] in [u[0] for u in own["unexpected"]]


def test_text_of_others_is_data_only(made):
    core = made.data("core")
    assert any(TAG in word for word in core["units"]["words"])
    assert "<b>" not in (made.folder / "index.html").read_text()
    script = (made.folder / "atlas.js").read_text()
    assert script.count("fetch(") == 1  # of the server's page; from the disk the policy forbids it
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "http:",
        "https:",
    ):
        assert way not in script.replace("http://www.w3.org/2000/svg", "")


def test_the_page_may_load_what_lies_beside_it_and_nothing_else(made):
    page = (made.folder / "index.html").read_text()
    assert "script-src 'self' file:; style-src 'self' file:; img-src 'self' file: data: blob:" in page
    assert "connect-src" not in page
    assert "unsafe" not in page
    assert "&lt;x&gt;" in build.rendered("<x>")
    assert "connect-src 'self'" in build.rendered("x", live="1")
    assert "file:" not in build.rendered("x", live="1")


def test_the_manifest_has_every_file(made):
    record, stamp = read_json(made.folder / "atlas.json", "atlas", 1)
    found = {str(p.relative_to(made.folder)): p.stat().st_size for p in made.folder.rglob("*") if p.is_file()}
    beside = {"atlas.json", "index.html.meta.json"}
    assert record["files"] == {name: size for name, size in found.items() if name not in beside}
    assert stamp.inputs["components"] == read_stamp(made.files.components).id
    assert json.loads((made.folder / "index.html.meta.json").read_text())["sha256"] == hash_file(
        made.folder / "index.html"
    )


def test_the_same_files_give_the_same_bytes_and_nothing_old_stays(made):
    before = {
        p: p.read_bytes()
        for p in made.folder.rglob("*")
        if p.is_file() and p.suffix in (".js", ".webp", ".html")
    }
    (made.folder / "data" / "units" / "99.js").write_text("old")
    made.build()
    assert {p: p.read_bytes() for p in before} == before
    assert not (made.folder / "data" / "units" / "99.js").exists()


def test_a_build_that_fails_leaves_what_was_there(made, monkeypatch):
    def fails(*arguments):
        raise OSError("full")

    monkeypatch.setattr(build, "write_page", fails)
    with pytest.raises(OSError, match="full"):
        made.build()
    assert made.data("core")
    assert not list(made.folder.parent.glob(".atlas*"))


def test_pictures_that_are_gone_are_crossed_out_and_none_at_all_is_an_error(made, tmp_path):
    paths = {"page": tmp_path / "a" / "index.html", "manifest": tmp_path / "a" / "atlas.json"}
    some = tmp_path / "some"
    some.mkdir()
    (some / "0.jpg").write_bytes((made.root / "0.jpg").read_bytes())
    build.atlas(made.files, **paths, about=made.about._replace(dataset_root=str(some)))
    text = (tmp_path / "a/data/images/0.js").read_text()
    assert '"ok":0' in text
    assert '"ok":1' in text
    with pytest.raises(RelianceError, match="shows images from the folder"):
        build.atlas(made.files, **paths, about=made.about._replace(dataset_root=str(tmp_path / "nowhere")))


def test_cases_of_another_variant_name_its_units(made, tmp_path):
    paths = {"page": tmp_path / "a" / "index.html", "manifest": tmp_path / "a" / "atlas.json"}
    about = AboutAtlas(**{**made.about._asdict(), "mined_by": "other"})
    build.atlas(made.files._replace(outliers=None, outlier_samples=None), **paths, about=about)
    text = (tmp_path / "a/data/core.js").read_text()
    core = json.loads(text[len('take("core",') : -2])
    assert not core["own"]
    assert not np.any(core["units"]["fools"])
    assert len(core["cases"]) == 5


def test_a_class_is_what_most_images_are_taken_for_or_not(made):
    cases, records = made.records("cases"), made.records("images")
    for case in cases:
        best = [records[image[0]]["top"][0][0] for image in case["images"]]
        assert case["taken"] == [best.count(case["class"]), len(case["images"])]
    assert any(2 * best <= known for best, known in (case["taken"] for case in cases))


def test_without_a_closed_form_relevances_are_those_that_were_kept(made, tmp_path):
    other = made.behind(tmp_path)
    other.build()
    core = other.data("core")
    assert core["site"] == "block"
    own = {name: core[name] for name in core if name not in ("about", "site")}
    assert own == {name: made.data("core")[name] for name in own}
    assert other.records("units") == made.records("units")
    pairs = list(zip(other.records("images"), made.records("images"), strict=True))
    kept = [(ours, theirs) for ours, theirs in pairs if ours["r"]]
    assert {ours["i"] for ours, _ in kept} == {ours["i"] for ours, _ in pairs if ours["i"] % 3 == 0}
    for ours, theirs in pairs:
        assert [ours[name] for name in "sic"] == [theirs[name] for name in "sic"]
        assert [c for c, _ in ours["top"]] == [c for c, _ in theirs["top"]]
        assert [y for _, y in ours["top"]] == pytest.approx([y for _, y in theirs["top"]], abs=1.01)
        assert len(ours["u"]) == len(ours["a"]) > 0
    for ours, theirs in kept:
        assert list(ours["r"]) == [str(ours["c"])]
        mine, same = (dict(zip(r["u"], r["r"][str(r["c"])][1:], strict=True)) for r in (ours, theirs))
        assert {u: mine[u] for u in mine if u in same} == pytest.approx(
            {u: same[u] for u in mine if u in same}, abs=1
        )


@pytest.mark.parametrize(("name", "what"), [("outputs", "attributions"), ("attributions", "codes")])
def test_kept_relevances_of_other_codes_are_refused(made, tmp_path, name, what):
    other, spec = made.behind(tmp_path), {"outputs": OUTPUTS, "attributions": ATTRIBUTIONS}[name]
    path = getattr(other.files, name)
    frame, stamp = read_table(path, spec)
    write_table(path, frame, spec, stamp.params, {**stamp.inputs, what: "0" * 64})
    with pytest.raises(RelianceError, match=f"same {what}"):
        other.build()
