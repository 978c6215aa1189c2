"""Folders in the shape of the ISIC challenges, with the odd rows that their tables have."""

import sys

import numpy as np
import pytest

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.images.groups import GROUPS, index_groups
from reliance.images.index import index_images
from reliance.images.layouts import Looking
from reliance.images.tables import CLASSES, INDEX

HEADER = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
COLUMNS = HEADER.split(",")[1:]


def one_hot(image, *names):
    return ",".join([image, *("1.0" if name in names else "0.0" for name in COLUMNS)])


def write(root, name, *lines):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def listed(root, folder, **settings):
    """(rows of INDEX, CLASSES, left out) of a root."""
    out = {"index": folder / "index.parquet", "classes": folder / "classes.parquet"}
    index_images(**out, root=str(root), layout="isic", dataset="lesions", **settings)
    table = read_table(out["index"], INDEX)
    return table.frame, read_table(out["classes"], CLASSES).frame, dict(table.stamp.params["left_out"])


@pytest.fixture
def lesions(plant):
    """2019: 40 melanomas and naevi of 20 lesions, and rows that are odd."""
    names = [f"ISIC_{i:07}" for i in range(40)]
    odd = ["two", "none", "soft", "strange", "short", "unlisted", "again", "torn"]
    root = plant("r", *(f"ISIC_2019_Training_Input/{name}.jpg" for name in [*names, *odd]))
    rows = [one_hot(name, "MEL" if i % 4 == 0 else "NV") for i, name in enumerate(names)]
    rows += [
        one_hot("two", "MEL", "NV"),
        one_hot("none"),
        "soft,0.5,0.5,0,0,0,0,0,0,0",
        "strange,yes,0,0,0,0,0,0,0,0",
        "short,0.0",
        one_hot("gone", "MEL"),
        one_hot("again", "NV"),
        one_hot("again", "NV"),
        one_hot("torn", "NV"),
        one_hot("torn", "MEL"),
        "",
    ]
    write(root, "ISIC_2019_Training_GroundTruth.csv", HEADER, *rows)
    ids = [f"{name},45.0,,BCN_{i // 2},male" for i, name in enumerate(names[:38])]
    ids += [f"{name},,,," for name in names[38:]]
    write(root, "ISIC_2019_Training_Metadata.csv", "image,age_approx,anatom_site_general,lesion_id,sex", *ids)
    return root


def test_2019(lesions, tmp_path):
    frame, classes, left_out = listed(lesions, tmp_path)
    assert classes["folder"].tolist() == ["MEL", "NV"]
    assert classes["short_name"].tolist() == ["melanoma", "melanocytic nevus"]
    assert len(frame) == 41
    assert frame["class_id"].value_counts().to_dict() == {1: 31, 0: 10}
    assert set(frame["split"]) == {"train", "test"}
    assert frame["path"].str.startswith("ISIC_2019_Training_Input/").all()
    table = "ISIC_2019_Training_GroundTruth.csv, line"
    folder = "ISIC_2019_Training_Input"
    assert left_out == {
        f"{folder}/two.jpg": f"{table} 42: two labels: MEL, NV",
        f"{folder}/none.jpg": f"{table} 43: no label",
        f"{folder}/soft.jpg": f"{table} 44: MEL is '0.5', neither 0 nor 1",
        f"{folder}/strange.jpg": f"{table} 45: MEL is 'yes', neither 0 nor 1",
        f"{folder}/short.jpg": f"{table} 46: no label",
        "gone": "in the ground truth, but there is no such image",
        f"{folder}/torn.jpg": f"{table} 51: two labels: NV and MEL",
        f"{folder}/unlisted.jpg": "not in the ground truth",
    }


def test_a_lesion_is_on_one_side(lesions, tmp_path):
    frame, _, _ = listed(lesions, tmp_path, split={"test": 0.4, "seed": 3})
    groups = tmp_path / "groups.parquet"
    where = {"root": str(lesions), "layout": "isic"}
    index_groups(index=tmp_path / "index.parquet", groups=groups, **where)
    ids = read_table(groups, GROUPS).frame
    assert len(ids) == 38
    assert set(ids["name"]) == {"lesion_id"}
    assert (ids.groupby("value")["split"].nunique() == 1).all()
    assert (ids.groupby("value").size() == 2).all()
    merged = frame.merge(ids, on=["split", "image_id"])
    number = merged["path"].str[-8:-4].astype(int)
    assert (merged["value"] == "BCN_" + (number // 2).astype(str)).all()
    assert 4 <= (frame["split"] == "test").sum() <= 30


def test_the_division_repeats_and_depends_on_the_seed(lesions, tmp_path):
    first, again, other = (listed(lesions, tmp_path, split={"test": 0.4, "seed": s})[0] for s in (3, 3, 4))
    assert first.equals(again)
    assert not first["path"].equals(other["path"])


def test_a_test_set_of_its_own(lesions, plant, tmp_path):
    plant("r", "ISIC_2019_Test_Input/t1.jpg", "ISIC_2019_Test_Input/t2.jpg")
    test = [one_hot("t1", "UNK"), one_hot("t2", "MEL"), one_hot("ISIC_0000000", "MEL")]
    write(lesions, "ISIC_2019_Test_GroundTruth.csv", HEADER + ",score_weight", *(f"{r},0" for r in test))
    frame, classes, left_out = listed(lesions, tmp_path)
    assert classes["folder"].tolist() == ["MEL", "NV", "UNK"]
    assert (frame["split"] == "test").sum() == 3
    assert left_out["ISIC_0000000"] == "in the ground truth of both splits; kept to test on"
    with pytest.raises(RelianceError, match="not divided again"):
        listed(lesions, tmp_path, split={"test": 0.2, "seed": 0})


def test_2020(plant, tmp_path):
    names = [f"ISIC_{i:07}" for i in range(30)]
    root = plant("r", *(f"train/{name}.jpg" for name in names))
    header = "image_name,patient_id,sex,diagnosis,benign_malignant,target"
    rows = [f"{n},IP_{i // 3},male,unknown,benign,{int(i % 5 == 0)}" for i, n in enumerate(names)]
    rows[7] = f"{names[7]},IP_2,male,unknown,benign,"
    rows[8] = f"{names[8]},IP_2,male,unknown,benign,2"
    write(root, "ISIC_2020_Training_GroundTruth.csv", header, *rows)
    write(root, "sample_submission.csv", "image_name,target", f"{names[0]},0.3")
    frame, classes, left_out = listed(root, tmp_path, split={"test": 0.3, "seed": 0})
    assert classes["folder"].tolist() == ["benign", "malignant"]
    assert classes["short_name"].tolist() == ["benign skin lesion", "malignant skin lesion"]
    assert (frame["class_id"] == 1).sum() == 6
    assert [reason.partition(": ")[2] for reason in left_out.values()] == [
        "no label",
        "target is '2', neither 0 nor 1",
    ]
    patient = frame["path"].str[-8:-4].astype(int) // 3
    assert (frame.groupby(patient)["split"].nunique() == 1).all()


def test_2024(plant, tmp_path):
    h5py = pytest.importorskip("h5py")
    root = plant("r", "train-image/image/ISIC_0.jpg")
    with h5py.File(root / "train-image.hdf5", "w") as file:
        for i in range(12):
            file[f"ISIC_{i}"] = np.void(b"x" * (i + 1))
    rows = [f"ISIC_{i},{int(i > 8)},IP_{i}" for i in range(13)]
    write(root, "train-metadata.csv", "isic_id,target,patient_id", *rows)
    frame, _, left_out = listed(root, tmp_path, split={"test": 0.3, "seed": 0})
    assert len(frame) == 12
    by_path = frame.set_index("path")
    assert by_path.loc["train-image/image/ISIC_0.jpg", "bytes"] == 3
    assert by_path.loc["train-image.hdf5/ISIC_11", "bytes"] == 12
    assert by_path.loc["train-image.hdf5/ISIC_11", "class_id"] == 1
    assert left_out == {"ISIC_12": "in the ground truth, but there is no such image"}


def test_2024_of_the_challenge_site(plant, tmp_path):
    """Its ground truth has the column malignant, and ids of lesions are in a table beside it."""
    names = [f"ISIC_{i:07}" for i in range(12)]
    root = plant("r", *(f"ISIC_2024_Training_Input/{name}.jpg" for name in names))
    rows = [f"{name},{float(i > 8)}" for i, name in enumerate(names)]
    rows[3] = f"{names[3]},maybe"
    write(root, "ISIC_2024_Training_GroundTruth.csv", "isic_id,malignant", *rows)
    frame, classes, left_out = listed(root, tmp_path, split={"test": 0.3, "seed": 0})
    assert classes["folder"].tolist() == ["benign", "malignant"]
    malignant = frame.loc[frame["class_id"] == 1, "path"].str[-8:-4].astype(int)
    assert sorted(malignant) == [9, 10, 11]
    assert len(frame) == 11
    (reason,) = left_out.values()
    assert reason.endswith("line 5: malignant is 'maybe', neither 0 nor 1")


def test_downsampled_images_of_2019(plant, tmp_path):
    """Files, ground truth and metadata of 2019 agree on names with this ending."""
    names = [f"ISIC_{i:07}_downsampled" for i in range(10)]
    root = plant("r", *(f"ISIC_2019_Training_Input/{name}.jpg" for name in names))
    rows = [one_hot(name, "MEL" if i < 4 else "NV") for i, name in enumerate(names)]
    write(root, "ISIC_2019_Training_GroundTruth.csv", HEADER, *rows)
    ids = [f"{name},BCN_{i // 2}" for i, name in enumerate(names)]
    write(root, "ISIC_2019_Training_Metadata.csv", "image,lesion_id", *ids)
    frame, _, left_out = listed(root, tmp_path, split={"test": 0.4, "seed": 0})
    assert frame["class_id"].value_counts().to_dict() == {1: 6, 0: 4}
    assert left_out == {}
    groups = tmp_path / "groups.parquet"
    index_groups(index=tmp_path / "index.parquet", groups=groups, root=str(root), layout="isic")
    assert len(read_table(groups, GROUPS).frame) == 10


def test_2024_without_h5py(plant, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    root = plant("r")
    (root / "train-image.hdf5").write_bytes(b"")
    write(root, "train-metadata.csv", "isic_id,target", "a,0", "b,1")
    with pytest.raises(RelianceError, match="pip install h5py"):
        listed(root, tmp_path)


def test_no_ids_and_two_files_of_one_name(plant, tmp_path):
    root = plant("r", "a/x.jpg", "b/x.png", "a/y.jpg", "a/z.jpg", "a/w.jpg")
    write(root, "truth.csv", HEADER, *(one_hot(n, "MEL" if n in "xy" else "NV") for n in "xyzw"))
    frame, _, left_out = listed(root, tmp_path)
    assert len(frame) == 4
    assert left_out == {"b/x.png": "the same name as a/x.jpg"}
    groups = tmp_path / "groups.parquet"
    index_groups(index=tmp_path / "index.parquet", groups=groups, root=str(root), layout="isic")
    assert read_table(groups, GROUPS).frame.empty


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, "no table"),
        ({"a.csv": "name,MEL,NV", "b.csv": "image,age"}, "no table"),
        ({"a.csv": HEADER, "b_v2.csv": HEADER}, "a.csv, b_v2.csv"),
        ({"test_truth.csv": HEADER}, "test_truth.csv"),
    ],
)
def test_one_ground_truth(plant, tmp_path, files, found):
    root = plant("r", "a/x.jpg")
    for name, header in files.items():
        write(root, name, header)
    with pytest.raises(RelianceError, match="one ground truth") as caught:
        listed(root, tmp_path)
    assert found in caught.value.found


def test_a_table_that_is_no_text(plant, tmp_path):
    root = plant("r", "a/x.jpg")
    (root / "truth.csv").write_bytes(b"image,MEL\n\xff\xfe,1\n")
    with pytest.raises(RelianceError, match="CSV files in UTF-8"):
        listed(root, tmp_path)


def test_a_table_outside_of_the_root_is_not_read(plant, tmp_path):
    root = plant("r", "a/x.jpg")
    outside = write(tmp_path / "elsewhere", "truth.csv", HEADER, one_hot("x", "MEL"))
    (root / "truth.csv").symlink_to(outside)
    with pytest.raises(RelianceError, match="one ground truth"):
        listed(root, tmp_path, looking=Looking(False))
    with pytest.raises(RelianceError, match="1 to train on"):
        listed(root, tmp_path)


def test_where_a_ground_truth_was_looked_for(plant, tmp_path):
    root = plant("r", "a/x.jpg", "b/c/y.jpg")
    write(root, "a/list.csv", "name,MEL,NV", "x,1,0")
    write(root, "b/c/truth.csv", HEADER, one_hot("y", "MEL"))
    write(root, "sample_submission.csv", "isic_id," + ",".join(f"c{i}" for i in range(9)))
    with pytest.raises(RelianceError, match="one ground truth") as caught:
        listed(root, tmp_path)
    assert "in the root and a/ and b/:" in caught.value.found
    assert "a/list.csv has name, MEL, NV;" in caught.value.found + ";"
    assert "sample_submission.csv has isic_id, c0, c1, c2, c3, c4, c5, c6, ..." in caught.value.found
    assert "b/c/truth.csv" not in caught.value.found
    assert "directly in one of its folders" in caught.value.allowed
    assert "target or malignant" in caught.value.allowed


@pytest.mark.parametrize("seed", range(6))
def test_a_lesion_whose_patient_only_some_rows_name_is_on_one_side(plant, tmp_path, seed):
    """Patients have two lesions of three images each; only the first image of a lesion names the patient."""
    names = [f"i{i:02}" for i in range(60)]
    root = plant("r", *(f"a/{name}.jpg" for name in names))
    rows = [one_hot(n, "MEL" if i % 2 else "NV") for i, n in enumerate(names)]
    write(root, "truth.csv", HEADER, *rows)
    ids = [f"{n},{f'P{i // 6}' if i % 3 == 0 else ''},L{i // 3}" for i, n in enumerate(names)]
    write(root, "ids.csv", "image,patient_id,lesion_id", *ids)
    frame, _, _ = listed(root, tmp_path, split={"test": 0.5, "seed": seed})
    patient = frame["path"].str[3:5].astype(int) // 6
    assert (frame.groupby(patient)["split"].nunique() == 1).all()


def test_short_rows_of_a_table_of_ids(plant, tmp_path):
    root = plant("r", *(f"a/{n}.jpg" for n in "xyzw"))
    write(root, "truth.csv", HEADER, *(one_hot(n, "MEL" if n in "xy" else "NV") for n in "xyzw"))
    write(root, "ids.csv", "lesion_id,image", "L1", "L2,x", "", "L3,  ", "L2,z", ",y")
    listed(root, tmp_path, split={"test": 0.5, "seed": 0})
    groups = tmp_path / "groups.parquet"
    index_groups(index=tmp_path / "index.parquet", groups=groups, root=str(root), layout="isic")
    assert read_table(groups, GROUPS).frame["value"].tolist() == ["L2", "L2"]


def test_own_names(lesions, tmp_path):
    rows = ["MEL,bad mole,bad mole", "NV,mole,mole"]
    names = write(tmp_path, "names.csv", "folder,short_name,full_name", *rows)
    _, classes, _ = listed(lesions, tmp_path, names=names)
    assert classes["short_name"].tolist() == ["bad mole", "mole"]
