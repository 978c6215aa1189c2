import pandas as pd
import pytest

from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.failures.case_list import read_failures, read_samples
from reliance.failures.external import check_cases, folder_cases, list_external, refuse_duplicates
from reliance.images.tables import CLASSES, INDEX

PATHS = ["2_shark_1/a.jpg", "2_shark_1/b.jpg", "2_shark_9/a.jpg", "10_ray_30001/c.jpg"]


def images(paths=PATHS):
    return pd.DataFrame(
        {
            "split": "cases",
            "image_id": range(len(paths)),
            "path": paths,
            "class_id": [int(p.split("_")[0]) for p in paths],
            "bytes": 3,
        }
    )


@pytest.fixture
def files(tmp_path):
    names = {"folder": "f", "short_name": "n", "full_name": "n", "definition": ""}
    classes = pd.DataFrame([{"class_id": i, **names} for i in range(12)])
    write_table(tmp_path / "index.parquet", images(), INDEX, {}, {})
    write_table(tmp_path / "classes.parquet", classes, CLASSES, {}, {})
    return {
        **{name: tmp_path / f"{name}.parquet" for name in ("index", "classes", "failure_samples")},
        "failures": tmp_path / "failures.tsv",
    }


def test_folders_become_cases(files):
    list_external(**files, dataset="neuhaus_images", source="neuhaus")
    cases, stamp = read_failures(files["failures"])
    samples, samples_stamp = read_samples(files["failure_samples"])
    assert samples_stamp.inputs == {"failures": stamp.id}
    assert cases["failure_id"].tolist() == [
        "10-30001-neuhaus_images",
        "2-1-neuhaus_images",
        "2-9-neuhaus_images",
    ]
    assert cases["rank"].tolist() == [1, 1, 2]
    assert set(cases["kind"]) == {"spurious"} and cases["score"].isna().all()
    assert samples.groupby("failure_id")["image_id"].apply(list).to_dict() == {
        "10-30001-neuhaus_images": [3],
        "2-1-neuhaus_images": [0, 1],
        "2-9-neuhaus_images": [2],
    }
    assert set(samples["split"]) == {"cases"} and set(samples["dataset"]) == {"neuhaus_images"}


def test_kind_is_what_the_user_says_or_other():
    for kind, expected in ((None, "other"), ("compound", "compound")):
        cases, _ = folder_cases("index", images(), "own", "user", kind)
        assert set(cases["kind"]) == {expected}


@pytest.mark.parametrize("folder", ["shark_1", "2_shark_comp", "2"])
def test_a_folder_that_names_no_case_is_refused(folder):
    frame = images().assign(path=f"{folder}/a.jpg")
    with pytest.raises(RelianceError, match="both whole numbers"):
        folder_cases("index", frame, "own", "user", None)


def test_a_class_of_another_data_set_is_refused(files):
    with pytest.raises(RelianceError, match="class 10"):
        short = read_table(files["classes"], CLASSES).frame[:10]
        write_table(files["classes"], short, CLASSES, {}, {})
        list_external(**files, dataset="own", source="user")
    assert not files["failures"].exists()


def cases_and_samples():
    return folder_cases("index", images(), "own", "user", None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, s: (c, s[s["failure_id"] != "2-9-own"]), "every case has images"),
        (lambda c, s: (c[1:], s), "belongs to a listed case"),
        (lambda c, s: (c, pd.concat([s, s[:1]])), "named once"),
        (lambda c, s: (pd.concat([c, c[:1]]), s), "unique"),
    ],
)
def test_lists_whose_parts_do_not_fit_are_refused(change, message):
    cases, samples = change(*cases_and_samples())
    with pytest.raises(RelianceError, match=message):
        check_cases("list", cases, samples, set(range(12)))
    check_cases("list", *cases_and_samples(), set(range(12)))


def test_an_image_of_its_own_class_is_refused(tmp_path):
    home_root, root = tmp_path / "home", tmp_path / "cases"
    for path, content in (("x/1.jpg", b"abc"), ("y/2.jpg", b"xyz")):
        (home_root / path).parent.mkdir(parents=True, exist_ok=True)
        (home_root / path).write_bytes(content)
    for path in PATHS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"new")
    home = pd.DataFrame({"path": ["x/1.jpg", "y/2.jpg"], "class_id": [2, 10], "bytes": 3})
    refuse_duplicates(images(), root, home, home_root)
    (root / PATHS[1]).write_bytes(b"xyz")  # an image of class 10 in a case of class 2 is fine
    refuse_duplicates(images(), root, home, home_root)
    (root / PATHS[1]).write_bytes(b"abc")
    with pytest.raises(RelianceError, match="same image as") as caught:
        refuse_duplicates(images(), root, home, home_root)
    assert caught.value.where == str(root / PATHS[1])
