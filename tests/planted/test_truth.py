import json

import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import derived_stamp, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.rows import Layout, PartRange, PartWriter, write_manifest
from reliance.encoders.text import TEXT
from reliance.failures.case_list import FAILURE_SAMPLES, read_failures, read_samples, write_failures
from reliance.failures.schema import EXPECTATIONS, OUTLIER_SAMPLES, OUTLIERS
from reliance.images.index import index_images
from reliance.planted import dataset, world
from reliance.planted.table import TRUTH
from reliance.planted.truth import outputs, planted_cases, score_truth
from reliance.running.job import bundled

SPLIT = "train"
CLASSES = 8
PER_CLASS = 30


def index(folder, name="index", per_class=None):
    paths = {"index": folder / f"{name}.parquet", "classes": folder / f"{name}-classes.parquet"}
    names = str(folder / "names.csv")
    index_images(**paths, root=str(folder / "images"), layout="planted", names=names, per_class=per_class)
    return paths


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    paths = {
        "truth": folder / "truth.parquet",
        "names": folder / "names.csv",
        "plants": folder / "plants.json",
    }
    settings = {"seed": 1, "classes": CLASSES, "train_per_class": PER_CLASS, "test_per_class": 1}
    dataset.render_planted(images=folder / "images", **paths, **settings)
    index(folder)
    return folder


def planted(folder, out, name="index"):
    paths = {"failures": out / "planted.tsv", "failure_samples": out / "planted.parquet"}
    planted_cases(
        truth=folder / "truth.parquet",
        plants=folder / "plants.json",
        classes=folder / f"{name}-classes.parquet",
        index=folder / f"{name}.parquet",
        dataset="toy",
        **paths,
    )
    return read_failures(paths["failures"])[0], read_samples(paths["failure_samples"])[0]


def test_every_plant_is_a_case_with_all_its_distractors(drawn, tmp_path):
    cases, samples = planted(drawn, tmp_path)
    assert cases["failure_id"].tolist() == [plant.plant_id for plant in world.build(CLASSES).plants]
    assert set(cases["mode"]) == {"caption"}
    assert (cases["source"] == "planted").all()
    shovel = samples[samples["failure_id"] == "polysemous-spade"]
    assert shovel["image_id"].tolist() == list(range(PER_CLASS, 2 * PER_CLASS)), "shovel is class 1"
    truth = read_table(drawn / "truth.parquet", TRUTH).frame
    truth = truth[truth["split"] == SPLIT].set_index("image_id")
    anchors = samples[samples["failure_id"] == "typography-anchor"]["image_id"]
    assert (truth.loc[anchors, "word"] == "anchor").all()
    assert len(anchors) == ((truth["word"] == "anchor") & (truth["object"] != "anchor")).sum()


def test_a_rehearsal_has_image_ids_of_its_own(drawn, tmp_path):
    index(drawn, "few", per_class=5)
    _, samples = planted(drawn, tmp_path, "few")
    assert samples[samples["failure_id"] == "polysemous-spade"]["image_id"].tolist() == [5, 6, 7, 8, 9]


def test_truth_of_other_pictures_is_refused(drawn, tmp_path):
    other = tmp_path / "other"
    paths = {"truth": other / "truth.parquet", "names": other / "names.csv", "plants": other / "plants.json"}
    dataset.render_planted(
        images=other / "images", **paths, seed=2, classes=CLASSES, train_per_class=1, test_per_class=1
    )
    with pytest.raises(RelianceError, match="same drawn pictures"):
        planted_cases(
            truth=other / "truth.parquet",
            plants=drawn / "plants.json",
            classes=drawn / "index-classes.parquet",
            failures=tmp_path / "f.tsv",
            failure_samples=tmp_path / "s.parquet",
            dataset="toy",
        )


def test_outputs_are_cosines():
    z = np.array([[3, 4], [0, -2]], np.float32)
    np.testing.assert_allclose(outputs(z, np.array([1.0, 0])), [0.6, 0], rtol=1e-12)


class Mined:
    """Artifacts of a variant in which every picture's output for a class is what the test says."""

    def __init__(self, drawn, out, y):
        self.out, self.paths = out, {"truth_table": drawn / "truth.parquet", "plants": drawn / "plants.json"}
        self.paths |= {"index": drawn / "index.parquet", "classes": drawn / "index-classes.parquet"}
        index_id = json.loads(read_stamp(drawn / "index.parquet"))["id"]
        rows = CLASSES * PER_CLASS
        z = 3 * np.stack([y, np.sqrt(1 - y**2)], 1).astype(np.float32)
        layouts = {"embedding": Layout((2,), "float32"), "valid": Layout((), "bool")}
        inputs = {"index": index_id, "weights": "w" * 64}
        writer = PartWriter(out / "part-0-of-1.zarr", "embeddings", PartRange(0, rows), layouts, {}, inputs)
        writer.append({"embedding": z, "valid": np.ones(rows, bool)})
        writer.finish()
        manifest = write_manifest(out / "manifest.json", [out / "part-0-of-1.zarr"], "embeddings")
        weights = {"weights": "w" * 64}
        ids = np.arange(CLASSES)
        text = {"prompt_id": ids, "class_id": ids, "prompts": [[str(i)] for i in ids]}
        text["embedding"] = [np.array([1, 0], np.float32)] * CLASSES
        prompts = write_table(out / "text.parquet", pd.DataFrame(text), TEXT, {}, weights)
        table = {"class_id": ids, "component": -1, "n": PER_CLASS, "n_active": PER_CLASS, "mean": np.nan}
        table |= {"std": np.nan, "y_mean": 0.8, "y_std": 0.2}
        inputs = {"embeddings": manifest.id, "text": prompts.id}
        write_table(out / "expectations.parquet", pd.DataFrame(table), EXPECTATIONS, {}, inputs)
        self.paths |= {"embeddings": out / "manifest.json"}
        self.paths |= {"text": out / "text.parquet", "expectations": out / "expectations.parquet"}

        self.flag([], {})

    def flag(self, flags, images):
        """Write flags (class, component, images, mean relevance), and the images of each."""
        frame = pd.DataFrame(flags, columns=["class_id", "component", "n_flagged", "mean_relevance"])
        for name, _ in OUTLIERS.columns:
            frame[name] = frame.get(name, 0)
        self.paths |= {"outliers": self.out / "outliers.parquet", "outlier_samples": self.out / "o.parquet"}
        self.flags = write_table(self.paths["outliers"], frame, OUTLIERS, {}, {"flags": str(flags)}).id
        rows = [(c, j, SPLIT, i, 0.5, 0.1, 4.0) for (c, j), found in images.items() for i in found]
        samples = pd.DataFrame(rows, columns=[name for name, _ in OUTLIER_SAMPLES.columns])
        write_table(self.paths["outlier_samples"], samples, OUTLIER_SAMPLES, {}, {"outliers": self.flags})

    def score(self, cases, flags=None, **settings):
        base = {"rank": 1, "kind": "polysemous", "mode": "", "source": "mined", "component": 0, "score": 1.0}
        base |= {"q_value": 0.1, "reviewed": "no", "note": ""}
        rows = [{**base, "failure_id": f"{c}-{i}", "class_id": c} for i, (c, _) in enumerate(cases)]
        samples = [
            (f"{c}-{i}", "toy", SPLIT, image) for i, (c, images) in enumerate(cases) for image in images
        ]
        stamp = derived_stamp("failures", 2, {}, {"outliers": flags or self.flags})
        write_failures(self.out / "failures.tsv", pd.DataFrame(rows), stamp)
        frame = pd.DataFrame(samples, columns=[name for name, _ in FAILURE_SAMPLES.columns])
        write_table(self.out / "samples.parquet", frame, FAILURE_SAMPLES, {}, {})
        paths = {"failures": self.out / "failures.tsv", "failure_samples": self.out / "samples.parquet"}
        keywords = {**paths, **self.paths, "truth": self.out / "truth.json", **settings}
        score_truth(**bundled(score_truth, keywords))
        return json.loads((self.out / "truth.json").read_text())


def read_stamp(path):
    import pyarrow.parquet as pq

    return pq.read_schema(path).metadata[b"reliance"]


def test_score_of_a_mined_list(drawn, tmp_path):
    # the line is .8 - 1.5 x .2 = .5; the first 12 shovels are above it, and all others below
    y = np.full(CLASSES * PER_CLASS, 0.45)
    shovel = np.arange(PER_CLASS, 2 * PER_CLASS)
    y[shovel[:12]] = 0.55
    mined = Mined(drawn, tmp_path, y)
    record = mined.score([(0, shovel[:10].tolist()), (0, [*shovel[:4].tolist(), *range(100, 106)])])
    assert (record["all"]["found"], record["all"]["testable"]) == (1, 1)
    assert (record["all"]["true"], record["all"]["listed"]) == (1, 2)
    spade = next(plant for plant in record["plants"] if plant["plant_id"] == "polysemous-spade")
    assert (spade["distractors"], spade["confident"], spade["testable"]) == (PER_CLASS, 12, True)
    assert record["artefact"] == {"planted": 0, "testable": 0, "found": 0, "cases": 0}
    strict = mined.score([(0, shovel[:10].tolist())], min_samples=13)
    assert strict["all"]["recall"] is None
    halved = mined.score([(0, shovel[:10].tolist())], every_nth=2, min_samples=6)
    spade = next(plant for plant in halved["plants"] if plant["plant_id"] == "polysemous-spade")
    assert (spade["distractors"], spade["confident"], spade["testable"]) == (PER_CLASS // 2, 6, True)


def test_the_ranked_list_has_all_candidates_and_not_only_listed_cases(drawn, tmp_path):
    shovel = np.arange(PER_CLASS, 2 * PER_CLASS)
    mined = Mined(drawn, tmp_path, np.full(CLASSES * PER_CLASS, 0.45))
    none = mined.score([(0, shovel[:10].tolist())])["ranked"]
    assert (none["candidates"], none["average_precision"]) == (0, None)
    # class 0: a planted flag, one that is the same case, and an unplanted one; class 3: an unplanted one
    images = {(0, 5): shovel[:10], (0, 6): shovel[:8], (0, 7): np.arange(100, 112), (3, 5): np.arange(10)}
    mined.flag([(0, 5, 10, 0.1), (0, 6, 8, 0.1), (0, 7, 12, 0.2), (3, 5, 10, 0.05)], images)
    ranked = mined.score([(0, shovel[:10].tolist())])["ranked"]
    assert ranked["precision_at_1"] == {"precision": 0, "true": 0, "listed": 2}
    assert ranked["precision_at_2"] == {"precision": 1 / 3, "true": 1, "listed": 3}
    assert (ranked["candidates"], ranked["average_precision"]) == (3, 0.5)
    apart = mined.score([(0, shovel[:10].tolist())], overlap=1.1)["ranked"]
    assert apart["candidates"] == 4
    with pytest.raises(RelianceError, match="same outliers"):
        mined.score([(0, shovel[:10].tolist())], flags="0" * 64)


def test_score_refuses_expectations_of_other_prompts(drawn, tmp_path):
    mined = Mined(drawn, tmp_path, np.full(CLASSES * PER_CLASS, 0.4))
    ids = np.arange(CLASSES)
    text = {"prompt_id": ids, "class_id": ids, "prompts": [[f"other {i}"] for i in ids]}
    text["embedding"] = [np.array([1, 0], np.float32)] * CLASSES
    other = write_table(
        tmp_path / "other.parquet", pd.DataFrame(text), TEXT, {"set": 2}, {"weights": "w" * 64}
    )
    assert other.id
    mined.paths["text"] = tmp_path / "other.parquet"
    with pytest.raises(RelianceError, match="same prompts"):
        mined.score([(0, [1])])
