import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reliance
from reliance.base.artifacts import derived_stamp, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.concepts.schema import HIDDEN
from reliance.explore.catalogue import catalogue
from reliance.explore.describe import describe_variant
from reliance.failures.case_list import FAILURE_SAMPLES
from reliance.naming.table import COMPONENTS
from reliance.tails.relevance import attribute

from .conftest import CASE

ROOT = Path(__file__).parents[2]


def test_tables_and_arrays_are_there_by_name(built):
    study = reliance.open(built.home)
    assert study.failures["failure_id"].tolist() == [CASE[0]]
    assert study.failure_samples["image_id"].tolist() == built.images.tolist()
    assert study.components is study.components
    assert study.embeddings("train").rows == built.toy.rows
    assert study.codes("train").k == built.toy.values.shape[1]
    assert study.prompts().vectors.shape == built.toy.text.shape
    assert study.about["encoder"] == "toy"
    assert repr(study) == "<Study demo: 11 of 17 files built>"


def test_relevances_of_one_image_are_those_of_the_closed_form(built):
    study, image = reliance.open(built.home), int(built.images[1])
    found = study.relevances(image, "train", class_id=5)
    expected = attribute(
        *(a[[image]] for a in (built.toy.x, built.toy.values.astype(np.float32), built.toy.indices)),
        built.toy.decoder,
        built.toy.head,
        built.toy.text[2],
    )
    assert found.attrs["y"] == pytest.approx(float(expected.y[0]))
    active = built.toy.values[image] > 0
    pairs = zip(built.toy.indices[image][active], expected.ablation[0].numpy()[active], strict=True)
    assert found.set_index("component")["ablation"].to_dict() == pytest.approx(dict(pairs))
    assert (found["ablation"].diff().dropna() <= 0).all()
    assert found["label"].tolist() == [f"label {c}" for c in found["component"]]
    own = study.relevances(image, "train")
    assert own.attrs["y"] != found.attrs["y"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((10**6, "train", 5), "no image 1000000"),
        ((-1, "train", 5), "no image -1"),
        ((0, "train", 4), "no class 4"),
        ((10**6, "train"), "no image 1000000"),
    ],
)
def test_what_is_not_there_is_told(built, arguments, words):
    with pytest.raises(RelianceError, match=words):
        reliance.open(built.home).relevances(*arguments)


def test_an_image_that_could_not_be_read_has_no_relevances(built):
    bad = int(np.flatnonzero(~built.toy.valid)[0])
    with pytest.raises(RelianceError, match="could be read"):
        reliance.open(built.home).relevances(bad, "train", class_id=5)


def test_what_was_not_built_is_refused_with_its_command(built):
    study = reliance.open(built.home)
    with pytest.raises(RelianceError) as caught:
        _ = study.hidden
    assert caught.value.next_step == "build it: snakemake --cores 2 results/demo/hidden.parquet"
    with pytest.raises(RelianceError, match="codes/test/manifest"):
        study.codes("test")
    assert not study.has("figures", "fig5.pdf")
    assert study.has("codes", "train") and not study.has("codes", "test")


@pytest.mark.parametrize(("name", "key", "allowed"), [("audit", "", "codes"), ("codes", "pool", "train")])
def test_what_a_variant_cannot_have_is_refused(built, name, key, allowed):
    with pytest.raises(RelianceError, match="it has no such file") as caught:
        reliance.open(built.home).path(name, key)
    assert allowed in caught.value.allowed


def test_a_table_of_another_run_is_refused(built):
    names = built.files["components"]
    frame = read_table(names, COMPONENTS).frame
    hidden = pd.DataFrame({name: [] for name, _ in HIDDEN.columns})
    write_table(built.files["hidden"], hidden, HIDDEN, {}, {"components": "0" * 64})
    with pytest.raises(RelianceError, match="must come from the same components"):
        _ = reliance.open(built.home).hidden
    shown = read_table(built.files["failure_samples"], FAILURE_SAMPLES).frame
    write_table(built.files["failure_samples"], shown, FAILURE_SAMPLES, {}, {"failures": "0" * 64})
    with pytest.raises(RelianceError, match="must come from the same failures"):
        _ = reliance.open(built.home).failure_samples
    write_table(names, frame, COMPONENTS, {"other": 1}, {"codes": "0" * 64})
    with pytest.raises(RelianceError, match="must come from the same components"):
        _ = reliance.open(built.home).failures


def test_arrays_of_another_run_are_refused(built):
    from reliance.units.sae.files import load_sae, save_sae

    sae, _ = load_sae(built.files["sae"])
    save_sae(built.files["sae"], sae._replace(bias=sae.bias + 1), {}, {"encoder": "w" * 64})
    with pytest.raises(RelianceError, match="same SAE"):
        reliance.open(built.home).codes("train")


def test_results_may_be_moved(built, tmp_path):
    moved = tmp_path / "elsewhere" / "kept"
    moved.parent.mkdir()
    shutil.move(built.results, moved)
    study = reliance.open(moved / "demo")
    assert len(study.failures) == 1
    with pytest.raises(RelianceError, match="results/demo/hidden"):
        _ = study.hidden


def test_a_file_elsewhere_keeps_its_place(built, tmp_path):
    outside = tmp_path / "shared" / "manifest.json"
    built.files["embeddings"]["test"] = outside
    built.describe()
    record = json.loads((built.home / "variant.json").read_text())["files"]
    assert record["embeddings"]["test"] == str(outside)
    assert record["failures"] == "demo/failures.tsv"


@pytest.mark.parametrize("name", ["nothing", "encoders"])
def test_a_folder_that_is_no_variant_is_refused(built, name):
    with pytest.raises(RelianceError, match=r"variant\.json"):
        reliance.open(built.results / name)


def test_the_first_look_of_the_documentation_runs(built, capsys, monkeypatch):
    monkeypatch.chdir(built.results.parent)
    runpy.run_path(str(ROOT / "docs/first_look.py"))
    assert "for class 5 is" in capsys.readouterr().out


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, reliance; sys.exit(any(m in sys.modules for m in ('numpy', 'pandas', 'torch')))"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(ROOT / "src")})


def test_equal_descriptions_are_equal_bytes(built):
    before = (built.home / "variant.json").read_bytes()
    built.describe()
    assert (built.home / "variant.json").read_bytes() == before
    assert derived_stamp("variant", 1, {}, {}).kind == "variant"


def test_commands_that_build_more_have_the_configuration_of_the_run(built):
    built.describe()
    bare = reliance.open(built.home)
    name, key = next(pair for pair in bare.listed() if not bare.has(*pair))
    described = {"variant": "demo", "files": built.files, "about": {"encoder": "toy"}}
    options = "--configfile mine.yaml"
    describe_variant(description=built.home / "variant.json", **described, options=options)
    study = reliance.open(built.home)
    with pytest.raises(RelianceError, match=rf"{options}$"):
        study.path(name, key)
    assert study.missing(name).endswith(options) or key
    assert "configfile" not in bare.missing(name)


def test_pages_that_an_older_version_wrote_are_told(tmp_path):
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "report.html").touch()
    with pytest.raises(RelianceError, match="pages of pets") as caught:
        catalogue(tmp_path)
    assert "results/pets/variant.json" in str(caught.value)
