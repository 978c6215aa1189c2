"""ImageNet as it lies on disks."""

import pytest

from reliance.base.errors import RelianceError
from reliance.images.imagenet import list_imagenet
from reliance.images.scan import Scanner

TENCH, SHARK, CRANE = "n01440764", "n01484850", "n02012849"
TRAIN = (f"train/{TENCH}/{TENCH}_1.JPEG", f"train/{SHARK}/{SHARK}_1.JPEG")


def listed(root):
    return {(g.split, g.folder): [f.path for f in g.files] for g in list_imagenet(Scanner(root))}


def test_val_is_the_split_test(plant):
    root = plant("r", *TRAIN, f"val/{TENCH}/a.JPEG", f"val/{CRANE}/b.JPEG")
    assert listed(root) == {
        ("train", TENCH): [TRAIN[0]],
        ("train", SHARK): [TRAIN[1]],
        ("test", TENCH): [f"val/{TENCH}/a.JPEG"],
        ("test", CRANE): [f"val/{CRANE}/b.JPEG"],
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "LOC_val_solution.csv",
            f"ImageId,PredictionString\nv_1,{SHARK} 111 108 9 9\nv_2,{TENCH} 1 2 3 4 \n",
        ),
        ("val/val_annotations.txt", f"v_1.JPEG\t{SHARK}\t0\t32\t44\t62\nv_2.JPEG\t{TENCH}\t0\t0\t0\t0\n"),
        ("val.txt", "v_1.JPEG 1\nv_2.JPEG 0\n"),
    ],
)
def test_a_flat_val_is_understood_by_a_list_of_its_labels(plant, name, text):
    root = plant("r", *TRAIN, "val/v_1.JPEG", "val/v_2.JPEG")
    (root / name).write_text(text)
    found = listed(root)
    assert found["test", SHARK] == ["val/v_1.JPEG"] and found["test", TENCH] == ["val/v_2.JPEG"]


def test_tiny_imagenets_val_images_folder(plant):
    root = plant("r", *TRAIN, "val/images/v_1.JPEG")
    (root / "val" / "val_annotations.txt").write_text(f"v_1.JPEG\t{SHARK}\t0\t32\t44\t62\n")
    assert listed(root)["test", SHARK] == ["val/images/v_1.JPEG"]


def test_a_flat_val_without_labels_is_named_with_what_to_do(plant):
    root = plant("r", *TRAIN, "val/ILSVRC2012_val_00000001.JPEG")
    (root / "ILSVRC2012_validation_ground_truth.txt").write_text("490\n")
    with pytest.raises(RelianceError, match="directly in val/") as error:
        listed(root)
    for part in ("valprep.sh", "LOC_val_solution.csv", "does not help"):
        assert part in str(error.value)


def test_a_list_that_lacks_an_image_or_is_malformed(plant):
    root = plant("r", *TRAIN, "val/v_1.JPEG", "val/v_2.JPEG")
    (root / "val.txt").write_text("v_1.JPEG 1\n")
    with pytest.raises(RelianceError, match=r"no line for val/v_2\.JPEG"):
        listed(root)
    (root / "val.txt").write_text("v_1.JPEG 1\nv_2.JPEG 2\n")  # there are two classes only
    with pytest.raises(RelianceError, match=r"val.txt, line 2"):
        listed(root)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ((f"{TENCH}/a.JPEG",), "has the folders train and val"),
        (("train/cat/a.jpg", "val/cat/b.jpg"), "WordNet ids"),
        ((*TRAIN, "train/notes/a.jpg", f"val/{TENCH}/b.jpg"), "found:   notes"),
        ((*TRAIN, f"val/{TENCH}/readme.txt"), "both splits of ImageNet have images"),
        ((*TRAIN, f"val/{TENCH}/b.jpg", "val/cat/b.jpg"), "found:   cat"),
    ],
)
def test_what_is_not_imagenet(plant, paths, message):
    with pytest.raises(RelianceError, match=message):
        listed(plant("r", *paths))
