import logging
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from sklearn.metrics import average_precision_score, roc_auc_score

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.robustness.probes import load_probe
from reliance.robustness.summary import PROBES, ROBUSTNESS
from reliance.robustness.table import score_cases
from reliance.running.job import bundled

from .test_auc import by_pairs
from .world import SETS, World, unit64

CASES = [
    ("0-4-a", 0, "mined", "polysemous", ""),
    ("0-4-b", 0, "mined", "compound", ""),
    ("2-4-c", 2, "mined", "spurious", ""),
]
DISTRACTORS = {"0-4-a": [13, 14, 15, 26, 30], "0-4-b": [24, 25], "2-4-c": [0, 1, 2, 3]}


def samples_of(distractors):
    return [(name, "world", "train", i) for name, rows in distractors.items() for i in rows]


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.fit()
    return world


def run(world, failures, samples, **settings):
    settings = {"every_nth": 1, **settings}
    score_cases(**bundled(score_cases, {**world.arguments(failures, samples), **settings}))
    return read_table(world.folder / "robustness.parquet", ROBUSTNESS)


def scores_of(world, x, class_id):
    """{way of probing: scores of images [n]}, in float64."""
    unit = unit64(x, world.head)
    found = {}
    for name in SETS:
        from reliance.encoders.text import TEXT

        found[name] = unit @ read_table(world.texts[name], TEXT).frame["embedding"][class_id].astype(
            np.float64
        )
    probe, _ = load_probe(world.probe)
    outputs = 10 * unit @ probe.weight.T.astype(np.float64) + probe.bias
    rivals = np.delete(outputs, class_id, axis=1)
    found["linear"] = outputs[:, class_id] - (logsumexp(rivals, axis=1) if probe.kind == "logistic" else 0)
    return found


def expect(world, row, distractors, every_nth=1, foreign=()):
    """Both areas and errors of a row, by all pairs."""
    class_id = int(row.failure_id[0])
    view = world.valid["train"] & (np.arange(len(world.valid["train"])) % every_nth == 0)
    labels = world.labels["train"]
    kept = [i for i in distractors if world.valid["train"][i] and labels[i] != class_id]
    scores = scores_of(world, world.x["train"], class_id)[row.probe]
    outside = scores_of(world, np.asarray(foreign), class_id)[row.probe] if len(foreign) else []
    positives = scores[view & (labels == class_id)]
    bad = [*scores[kept], *outside]
    other = scores[[i for i in np.flatnonzero(view & (labels != class_id)) if i not in kept]]
    sides = [by_pairs(positives.tolist(), list(side)) for side in (bad, other)]
    truth = np.repeat([1, 0], [len(positives), len(bad)])
    assert sides[0][0] == pytest.approx(roc_auc_score(truth, [*positives, *bad]))
    precision = average_precision_score(truth, [*positives, *bad])
    return *sides[0], *sides[1], len(positives), len(bad), len(other), precision


def check(world, table, distractors, **settings):
    assert len(table.frame)
    for row in table.frame.itertuples():
        found = (row.spurious_auc, row.spurious_se, row.valid_auc, row.valid_se)
        found += (row.n_class, row.n_distractors, row.n_other, row.spurious_ap)
        assert found == pytest.approx(expect(world, row, distractors[row.failure_id], **settings), abs=1e-6)


@pytest.mark.parametrize(("block_rows", "block_classes"), [(8192, 128), (7, 1), (1, 2)])
def test_every_area_agrees_with_all_pairs(world, block_rows, block_classes):
    lists = world.write_list("failures", CASES, samples_of(DISTRACTORS))
    table = run(world, *lists, block_rows=block_rows, block_classes=block_classes)
    assert len(table.frame) == len(CASES) * len(PROBES)
    assert set(table.frame["probe"]) == set(PROBES)
    assert set(table.frame["discovered_on"]) == {"demo"}
    check(world, table, DISTRACTORS)


def test_a_ridge_probe_is_scored_by_its_outputs(world):
    world.fit(kind="ridge")
    lists = world.write_list("failures", CASES, samples_of(DISTRACTORS))
    table = run(world, *lists)
    assert table.stamp.params["probe_kind"] == "ridge"
    check(world, table, DISTRACTORS)


def test_the_view_takes_every_nth_image(world):
    distractors = {"0-4-a": [14, 16, 26, 30]}
    lists = world.write_list("failures", CASES[:1], samples_of(distractors))
    check(world, run(world, *lists, every_nth=2), distractors, every_nth=2)


def test_listed_distractors_outside_the_view_still_count(world):
    distractors = {"0-4-a": [13, 15, 16]}
    lists = world.write_list("failures", CASES[:1], samples_of(distractors))
    table = run(world, *lists, every_nth=2)
    assert set(table.frame["n_distractors"]) == {3}
    check(world, table, distractors, every_nth=2)


def test_class_images_and_unreadable_ones_are_no_distractors(world, caplog):
    distractors = {"1-4-a": [5, 12, 13, 30, 31]}  # 5 cannot be read, 12 and 13 are of class 1
    lists = world.write_list("failures", [("1-4-a", 1, "mined", "other", "")], samples_of(distractors))
    with caplog.at_level(logging.WARNING):
        table = run(world, *lists)
    assert set(table.frame["n_distractors"]) == {2}
    assert "2 distractors are images of the class itself" in caplog.text
    assert "1 distractors cannot be read" in caplog.text
    check(world, table, distractors)


def test_planted_and_foreign_lists(world):
    rng = np.random.default_rng(9)
    foreign, valid = rng.normal(size=(6, 6)).astype(np.float16), np.ones(6, bool)
    valid[1] = False
    manifest = world.embed("cases", foreign, valid, index_id="5" * 64, folder=world.folder / "cases")
    mined = world.write_list("failures", CASES[:1], samples_of({"0-4-a": DISTRACTORS["0-4-a"]}))
    planted = [
        ("2-plant", 2, "planted", "spurious", "artefact"),
        ("1-plant", 1, "planted", "spurious", "caption"),
    ]
    planted_rows = {"2-plant": [3, 7], "1-plant": [4, 6]}
    plants = world.write_list("planted", planted, samples_of(planted_rows))
    names = [("0-9-x", "outside", "cases", i) for i in (4, 1, 2)]
    outside = world.write_list("outside", [("0-9-x", 0, "neuhaus", "spurious", "")], names, index_id="5" * 64)
    table = run(
        world,
        *mined,
        external_failures=[plants[0], outside[0]],
        external_samples=[plants[1], outside[1]],
        external_embeddings=[manifest],
        external_datasets=["outside"],
    )
    frame = table.frame.drop_duplicates("failure_id").set_index("failure_id")
    assert frame["source"].to_dict() == {
        "0-4-a": "mined",
        "2-plant": "planted",
        "1-plant": "planted",
        "0-9-x": "neuhaus",
    }
    assert frame["mode"].to_dict() == {"0-4-a": "", "2-plant": "artefact", "1-plant": "caption", "0-9-x": ""}
    assert frame.loc["0-4-a", "discovered_on"] == "demo"
    assert set(frame.loc[["2-plant", "0-9-x"], "discovered_on"]) == {""}
    assert frame.loc["0-9-x", "n_distractors"] == 2
    own = table._replace(frame=table.frame[table.frame["failure_id"] != "0-9-x"])
    check(world, own, {"0-4-a": DISTRACTORS["0-4-a"], **planted_rows})
    away = table._replace(frame=table.frame[table.frame["failure_id"] == "0-9-x"])
    check(world, away, {"0-9-x": []}, foreign=foreign[[4, 2]])
    assert "embeddings_outside" in table.stamp.inputs


def test_no_distractors_and_a_single_image_are_nan_and_logged(world, caplog):
    lists = world.write_list("failures", CASES[:2], samples_of({"0-4-a": [5], "0-4-b": [13]}))
    with caplog.at_level(logging.WARNING):
        table = run(world, *lists)
    frame = table.frame.set_index("failure_id")
    assert frame.loc["0-4-a", "spurious_auc"].isna().all()
    assert frame.loc["0-4-a", "valid_auc"].notna().all()
    assert frame.loc["0-4-b", "spurious_auc"].notna().all()
    assert frame.loc["0-4-b", "spurious_se"].isna().all()
    assert "spurious_auc is not defined (too few images) for 1 cases: 0-4-a" in caplog.text
    assert "spurious_se is not defined (too few images) for 2 cases" in caplog.text


def test_no_case_at_all_gives_an_empty_table(world):
    assert run(world, *world.write_list("failures", [], [])).frame.empty


def test_the_same_case_in_two_lists_is_an_error(world):
    lists = world.write_list("failures", CASES[:1], samples_of({"0-4-a": [13]}))
    with pytest.raises(RelianceError, match="in two lists"):
        run(world, *lists, external_failures=[lists[0]], external_samples=[lists[1]])


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (("0-4-a", "world", "test", 13), "of split 'test'"),
        (("0-4-a", "world", "train", 36), "0 to 35"),
        (("0-4-a", "mars", "cases", 0), "data set 'mars'"),
    ],
)
def test_images_that_are_nowhere_are_an_error(world, sample, message):
    with pytest.raises(RelianceError, match=message):
        run(world, *world.write_list("failures", CASES[:1], [sample]))


def test_cases_of_another_index_are_refused(world):
    lists = world.write_list("failures", CASES[:1], samples_of({"0-4-a": [13]}), index_id="9" * 64)
    with pytest.raises(RelianceError, match="same index"):
        run(world, *lists)


def test_an_external_list_of_another_index_is_refused(world):
    own = world.write_list("failures", CASES[:1], samples_of({"0-4-a": [13]}))
    planted = [("2-plant", 2, "planted", "spurious", "artefact")]
    other = world.write_list("planted", planted, samples_of({"2-plant": [3]}), index_id="9" * 64)
    with pytest.raises(RelianceError, match="same index") as caught:
        run(world, *own, external_failures=[other[0]], external_samples=[other[1]])
    assert "planted.tsv" in str(caught.value)


def test_a_list_of_other_images_than_were_embedded_is_refused(world):
    own = world.write_list("failures", CASES[:1], samples_of({"0-4-a": [13]}))
    images = np.zeros((4, 6), np.float16)
    manifest = world.embed(
        "cases", images, np.ones(4, bool), index_id="5" * 64, folder=world.folder / "cases"
    )
    cases, names = [("0-9-x", 0, "neuhaus", "spurious", "")], [("0-9-x", "outside", "cases", 1)]
    other = world.write_list("outside", cases, names, index_id="6" * 64)
    with pytest.raises(RelianceError, match="same index") as caught:
        run(
            world,
            *own,
            external_failures=[other[0]],
            external_samples=[other[1]],
            external_embeddings=[manifest],
            external_datasets=["outside"],
        )
    assert "outside.tsv" in str(caught.value)


def test_a_list_without_a_stamp_has_no_index_to_compare(world):
    own = world.write_list("failures", CASES[:1], samples_of({"0-4-a": [13]}))
    cases = [("2-plant", 2, "user", "spurious", "")]
    other = world.write_list("by_hand", cases, samples_of({"2-plant": [3]}), index_id="9" * 64)
    other[0].with_name("by_hand.tsv.meta.json").unlink()
    pd.DataFrame(
        samples_of({"2-plant": [3]}), columns=["failure_id", "dataset", "split", "image_id"]
    ).to_parquet(other[1])
    table = run(world, *own, external_failures=[other[0]], external_samples=[other[1]])
    assert set(table.frame["source"]) == {"mined", "user"}


def test_the_source_of_an_external_list_can_be_given(world):
    """The list of another variant says "mined", and is not to be averaged with the own one."""
    own = world.write_list("failures", CASES[:1], samples_of({"0-4-a": [13]}))
    other = world.write_list("others", CASES[:2], samples_of({"0-4-a": [14], "0-4-b": [24]}))
    plants = [("2-plant", 2, "planted", "spurious", "artefact")]
    planted = world.write_list("planted", plants, samples_of({"2-plant": [3]}))
    files = {
        "external_failures": [planted[0], other[0]],
        "external_samples": [planted[1], other[1]],
    }
    frame = run(world, *own, **files, external_sources=["planted", "user"]).frame
    found = frame.drop_duplicates(["failure_id", "source"]).set_index(["failure_id", "source"])
    assert set(found.index) == {
        ("0-4-a", "mined"), ("2-plant", "planted"), ("0-4-a", "user"), ("0-4-b", "user")
    }  # fmt: skip
    assert found["discovered_on"].loc["0-4-a"].to_dict() == {"mined": "demo", "user": ""}
    with pytest.raises(ValueError, match="zip"):
        run(world, *own, **files, external_sources=["user"])


def test_samples_of_another_list_are_refused(world):
    one = world.write_list("failures", CASES[:1], samples_of({"0-4-a": [13]}))
    two = world.write_list("others", CASES[:1], samples_of({"0-4-a": [14]}))
    with pytest.raises(RelianceError, match="same list of cases"):
        run(world, one[0], two[1])


def test_text_of_other_weights_is_refused(world):
    lists = world.write_list("failures", CASES[:1], samples_of({"0-4-a": [13]}))
    world.texts["both"] = world.write_text("both", np.eye(3, 5), weights="8" * 64)
    with pytest.raises(RelianceError, match="same encoder weights"):
        run(world, *lists)


def test_prompts_of_other_classes_are_refused(world):
    lists = world.write_list("failures", CASES[:1], samples_of({"0-4-a": [13]}))
    world.texts["both"] = world.write_text("both", np.eye(2, 5))
    with pytest.raises(RelianceError, match="same classes"):
        run(world, *lists)


def test_a_case_of_an_unknown_class_is_refused(world):
    with pytest.raises(RelianceError, match="class 7"):
        run(
            world,
            *world.write_list(
                "failures", [("7-4-a", 7, "mined", "other", "")], [("7-4-a", "world", "train", 1)]
            ),
        )


def test_tables_and_figures_need_no_torch():
    figures = ("fig5", "fig14", "table1")
    modules = ", ".join(["reliance.robustness.table", *(f"reliance.figures.robustness.{n}" for n in figures)])
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
