"""What the index shows is said before anything is embedded, with folders and ids."""

import pytest

from reliance.base.artifacts import read_json, read_table
from reliance.base.errors import RelianceError
from reliance.images.foresight import Needs, check_data, check_index, check_needs, proposal
from reliance.images.index import index_images
from reliance.images.tables import CLASSES, INDEX


@pytest.fixture
def made(plant, tmp_path):
    """made({"train/cat": 3, ...}) gives (index, classes) of a folder with so many images."""

    def run(counts):
        paths = [f"{folder}/{i}.jpg" for folder, n in counts.items() for i in range(n)]
        out = {name: tmp_path / f"{name}.parquet" for name in ("index", "classes")}
        index_images(**out, root=str(plant("r", *paths)), layout="folder")
        return out["index"], out["classes"]

    return run


def warnings(index, classes):
    return check_index(read_table(index, INDEX).frame, read_table(classes, CLASSES).frame)


GOOD = {"train/cat": 3, "train/dog": 3, "test/cat": 2, "test/dog": 2}


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({**GOOD, "train/owl": 3}, "1 of 3 classes have no image to test on: owl (class 2)"),
        ({**GOOD, "test/owl": 3}, "1 of 3 classes have no image to train on: owl (class 2)"),
        ({**GOOD, "train/owl": 1, "test/owl": 1}, "1 of 3 classes have one image to train on: owl (class 2)"),
        ({"train/cat": 3, "test/cat": 3}, "there is one class, cat (class 0)"),
        ({"train/cat": 3, "train/dog": 3, "test": 4}, "4 of 4 images of split test have no class"),
    ],
)
def test_warnings(made, counts, said):
    assert any(said in warning for warning in warnings(*made(counts)))


def test_a_good_folder_and_one_without_classes_give_none(made):
    assert warnings(*made(GOOD)) == []


@pytest.mark.parametrize("needs", [Needs(positive=["owl"]), Needs(positive=["cat"], negative=["wolf"])])
def test_classes_of_an_audit_that_there_are_not_are_refused(made, needs):
    with pytest.raises(RelianceError, match=r"owl|wolf"):
        check_needs(*made(GOOD), needs)


MINES = Needs(mines=True, min_samples=2)


@pytest.mark.parametrize(
    ("counts", "needs", "said"),
    [
        (GOOD, Needs(min_active=7), "6 images to train on are fewer than naming.min_active = 7"),
        ({"train": 6, "test": 4}, MINES, "no image to train on has a class"),
        ({**GOOD, "train/owl": 1, "test/owl": 1}, MINES, "1 of 3 classes have fewer than two images among"),
        (
            GOOD,
            MINES._replace(every_nth=3),
            "2 of 2 classes have fewer than two images among images to train on, one in 3",
        ),
        (GOOD, MINES._replace(min_samples=4), "6 images (images to train on) are too few for cases"),
        ({**GOOD, "train/owl": 3}, MINES, "1 of 3 classes have no image to test on: no linear probe"),
    ],
)
def test_what_will_be_missing_is_told(made, tmp_path, caplog, counts, needs, said):
    index, classes = made(counts)
    found = check_needs(index, classes, needs)
    assert any(said in warning for warning in found)
    caplog.clear()
    files = {"index": index, "classes": classes, "checked": tmp_path / "checked.json"}
    check_data(**files, needs=needs, variant="mine")
    assert [record.getMessage() for record in caplog.records] == [f"mine: {warning}" for warning in found]
    assert all(record.told for record in caplog.records)


def test_what_was_or_will_be_told_elsewhere_is_not_told_twice(made, tmp_path, caplog):
    index, classes = made({**GOOD, "train/owl": 3})
    caplog.clear()
    guarded = tmp_path / "guarded.json"

    def told(checked, needs, guarded=""):
        caplog.clear()
        check_data(
            index=index, classes=classes, needs=needs, variant="v", checked=checked, guarded=str(guarded)
        )
        return [record.getMessage() for record in caplog.records]

    assert told(tmp_path / "checked.json", MINES, guarded) == []  # it is on its way
    assert len(told(guarded, MINES)) == 1
    assert told(tmp_path / "checked.json", MINES, guarded) == []
    more = told(tmp_path / "checked.json", MINES._replace(min_active=50), guarded)  # other settings since
    assert "naming.min_active = 50" in more[1]
    assert len(read_json(tmp_path / "checked.json", "checked", 1)[0]["warnings"]) == len(more) + 1


def test_a_variant_with_all_that_it_needs(made, tmp_path):
    index, classes = made(GOOD)
    needs = Needs(mines=True, every_nth=1, min_active=2, min_samples=2, positive=["cat"])
    check_data(index=index, classes=classes, needs=needs, variant="mine", checked=tmp_path / "checked.json")
    found, stamp = read_json(tmp_path / "checked.json", "checked", 1)
    assert found == {"warnings": []}
    assert stamp.inputs == {
        "index": read_table(index, INDEX).stamp.id,
        "classes": read_table(classes, CLASSES).stamp.id,
    }


SAE = Needs(True, min_samples=10, min_active=20, top_n=20, m=4096, k=32, batch_size=1024, subsets=9)


def test_settings_too_large_for_few_images_are_proposed_all_at_once():
    assert proposal(24, 6, SAE) == {
        "sae.m": 16,
        "sae.k": 2,
        "sae.batch_size": 4,
        "naming.min_active": 2,
        "naming.top_n": 2,
        "failures.min_samples": 2,
        "faithfulness.subsets": 3,
    }
    assert proposal(200_000, 50_000, SAE) == {}
    assert proposal(24, 6, Needs()) == {}


def test_the_proposal_is_one_warning(made):
    said = [warning for warning in check_needs(*made(GOOD), SAE) if "all at once" in warning]
    assert len(said) == 1 and "sae.batch_size: 2" in said[0] and "faithfulness.subsets: 2" in said[0]
