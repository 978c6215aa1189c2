import json

import numpy as np
import pandas as pd
import pytest

from attribution.toy import CLASS_IDS, WEIGHTS, M, P, ToySplit
from reliance.attribution.table import attribute_split
from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.codes.top_samples import top_samples
from reliance.encoders.head import project
from reliance.encoders.text import TEXT
from reliance.failures.case_list import read_failures, read_samples
from reliance.failures.cases import list_cases
from reliance.failures.expectation import expectations
from reliance.failures.external import check_cases
from reliance.failures.outliers import OUTLIER_SAMPLES, OUTLIERS, Mining, mine_outliers
from reliance.images.tables import CLASSES
from reliance.naming.table import COMPONENTS
from reliance.running.job import bundled

LABELLER = "v" * 64
SHORT_NAMES = dict(zip(CLASS_IDS, ["crane", "egyptian cat", "anchor", "cow"], strict=True))


class Mined:
    """A mined toy split with a labeller, a vocabulary and the encoder's prompt sets."""

    def __init__(self, folder, every_nth=1, **rule):
        self.every_nth = every_nth
        self.split = split = ToySplit(folder, seed=2)
        files = split.files()
        paths = files._asdict()
        self.paths = {name: paths[name] for name in ("index", "embeddings")}
        self.out = {"failures": folder / "failures.tsv", "failure_samples": folder / "samples.parquet"}
        for name in ("outliers", "outlier_samples", "top_samples", "components", "classes"):
            self.paths[name] = folder / f"{name}.parquet"
        own = {name: folder / f"{name}.parquet" for name in ("attributions", "outputs")}
        attribute_split(files, **own, split="train", every_nth=every_nth)
        expectations(**own, expectations=folder / "e.parquet")
        mined = {name: self.paths[name] for name in ("outliers", "outlier_samples")}
        mined |= {"every_nth": every_nth, "rule": Mining(**rule)}
        mine_outliers(files, expectations=folder / "e.parquet", **mined)
        top_samples(codes=paths["codes"], top_samples=self.paths["top_samples"])
        self.flags, self.stamp = read_table(self.paths["outliers"], OUTLIERS)
        self.flagged, _ = read_table(self.paths["outlier_samples"], OUTLIER_SAMPLES)
        names = [{"class_id": c, "folder": "f", "short_name": n} for c, n in SHORT_NAMES.items()]
        frame = pd.DataFrame(names).assign(full_name="", definition="")
        write_table(self.paths["classes"], frame, CLASSES, {}, {})
        self.write_labeller()
        self.write_components()
        self.write_prompts("short", split.text)
        self.write_prompts("extended", split.text)
        self.write_prompts("words", self.away()[[1, 1]], [CLASS_IDS[1]] * 2)

    def write_labeller(self):
        """Its embeddings are those of the encoder, under another name."""
        split = self.split
        self.embedding = project(split.x, split.head)
        arrays = {"embedding": self.embedding, "valid": split.valid}
        inputs = {"index": self.stamp.inputs["index"], "weights": LABELLER}
        self.paths["labels"], _ = split.write_parts("embeddings", arrays, inputs, folder="labels")
        g = np.random.default_rng(5)
        prompts = ["", "sky", *(f"the written word {n}" for n in SHORT_NAMES.values())]
        vectors = g.normal(size=(len(prompts), P)).astype(np.float32)
        self.write_text("vocabulary", prompts, vectors, [-1, -1, *CLASS_IDS], LABELLER)

    def away(self):
        """For each class a unit vector that its flagged images score lowest on."""
        unit, vectors = self.unit(), []
        for class_id in CLASS_IDS:
            rows = self.flagged.loc[self.flagged["class_id"] == class_id, "image_id"]
            vectors.append(-unit[rows].mean(0) if len(rows) else unit[0])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def unit(self):
        return self.embedding / np.linalg.norm(self.embedding, axis=1, keepdims=True)

    def write_components(self, **labels):
        frame = pd.DataFrame({"component": range(M), "label": "sky"})
        for component, label in labels.items():
            frame.loc[int(component[1:]), "label"] = label
        for name, _ in COMPONENTS.columns[1:]:
            if name != "label":
                frame[name] = "" if name == "runner_up" else 0
        inputs = {"codes": self.stamp.inputs["codes"]}
        write_table(self.paths["components"], frame, COMPONENTS, {}, inputs)

    def write_prompts(self, name, vectors, class_ids=CLASS_IDS, weights=WEIGHTS):
        self.write_text(name, [f"{name} {i}" for i in range(len(vectors))], vectors, class_ids, weights)

    def write_text(self, name, prompts, vectors, class_ids, weights):
        columns = {"prompt_id": range(len(prompts)), "class_id": class_ids}
        frame = pd.DataFrame({**columns, "prompts": [[p] for p in prompts], "embedding": list(vectors)})
        self.paths[name] = self.split.folder / f"{name}.parquet"
        write_table(self.paths[name], frame, TEXT, {}, {"weights": weights})

    def list(self, **settings):
        keywords = {**self.paths, **self.out, "dataset": "toy", "every_nth": self.every_nth, **settings}
        list_cases(**bundled(list_cases, keywords))
        cases, stamp = read_failures(self.out["failures"])
        samples, samples_stamp = read_samples(self.out["failure_samples"])
        assert samples_stamp.inputs == {"failures": stamp.id}
        check_cases("list", cases, samples, set(CLASS_IDS))
        return (
            cases,
            samples,
            json.loads((self.split.folder / "failures.tsv.meta.json").read_text()),
        )


@pytest.fixture
def mined(tmp_path):
    return Mined(tmp_path)


def test_cases_are_the_strongest_flags_with_their_images(mined):
    cases, samples, meta = mined.list(max_cases_per_class=1)
    flags = mined.flags.assign(score=mined.flags["mean_relevance"] * mined.flags["n_flagged"])
    best = flags.loc[flags.groupby("class_id")["score"].idxmax()]
    assert len(best) > 1
    assert (
        cases[["class_id", "component"]].to_numpy().tolist()
        == best[["class_id", "component"]].to_numpy().tolist()
    )
    np.testing.assert_allclose(cases[["score", "q_value"]], best[["score", "q_value"]], rtol=1e-12)
    sae = mined.stamp.inputs["sae"][:8]
    for case in cases.itertuples():
        assert case.failure_id == f"{case.class_id}-{case.component}-{sae}"
        assert (case.rank, case.source, case.mode, case.reviewed, case.note) == (1, "mined", "", "no", "")
        own = mined.flagged[
            (mined.flagged["class_id"] == case.class_id) & (mined.flagged["component"] == case.component)
        ]
        listed = samples[samples["failure_id"] == case.failure_id]
        assert listed["image_id"].tolist() == own["image_id"].tolist()
        assert set(listed["dataset"]) == {"toy"} and set(listed["split"]) == {"train"}
        assert meta["cases"][case.failure_id]["images"] == len(own)
    assert meta["gone"] == []


def test_a_review_overrides_and_one_without_a_case_is_reported(mined, tmp_path):
    sae = mined.stamp.inputs["sae"][:8]
    before, _, _ = mined.list()
    name, note = before["failure_id"][0], "<b>bold</b>\x00"
    review = tmp_path / "review.tsv"
    review.write_text(f"failure_id\tkind\tnote\n{name}\tother\t{note}\n2-29-{sae}\tcompound\t\n")
    cases, _, meta = mined.list(review=review)
    assert cases.loc[0, ["kind", "note", "reviewed"]].tolist() == ["other", note, "yes"]
    assert meta["gone"] == [f"2-29-{sae}"]
    pd.testing.assert_frame_equal(cases[1:], before[1:])
    review.write_text("failure_id\tkind\tnote\n2-29-01234567\tcompound\t\n")
    with pytest.raises(RelianceError, match="01234567"):
        mined.list(review=review)


def kinds(mined):
    cases, _, meta = mined.list()
    assert all(meta["cases"][c.failure_id]["suggested"] == c.kind for c in cases.itertuples())
    return dict(zip(zip(cases["class_id"], cases["component"], strict=True), cases["kind"], strict=True))


def test_kinds_follow_labels_words_and_full_names(mined):
    before = kinds(mined)
    class_id, component = next(iter(before))
    mined.write_components(**{f"c{component}": f"the written word {SHORT_NAMES[class_id]}"})
    assert kinds(mined)[class_id, component] == "typography"
    mined.write_components(**{f"c{j}": "" for j in range(M)})
    plain = {"spurious", "lookalike", "other"}  # no labels, words that point away, equal names
    assert set(kinds(mined).values()) <= plain
    mined.write_prompts("words", mined.split.text)  # a word that says as much as the name
    assert set(kinds(mined).values()) <= plain
    mined.write_prompts("words", -own_direction(mined))  # a word for the distractors, and not for the class
    assert "compound" in set(kinds(mined).values())
    names = ["and"] * len(CLASS_IDS)
    mined.write_text("words", names, -own_direction(mined), CLASS_IDS, WEIGHTS)
    assert set(kinds(mined).values()) <= plain
    mined.write_prompts("words", mined.away()[:0], [])  # every name is one word
    assert set(kinds(mined).values()) <= plain
    mined.write_prompts("words", mined.away())
    mined.write_prompts("extended", own_direction(mined))
    assert "polysemous" in set(kinds(mined).values())


def own_direction(mined):
    """Full names that like the class and dislike its distractors."""
    split, vectors, unit = mined.split, [], mined.unit()
    for c, class_id in enumerate(CLASS_IDS):
        others = mined.flagged.loc[mined.flagged["class_id"] == class_id, "image_id"]
        vector = unit[(split.labels == c) & split.valid].mean(0)
        vectors.append(vector - unit[others].mean(0) if len(others) else vector)
    vectors = np.stack(vectors)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("every_nth", [1, 2])
def test_evidence_is_what_the_images_say(tmp_path, every_nth):
    mined = Mined(tmp_path, every_nth, min_samples=4)
    cases, samples, meta = mined.list()
    assert len(cases)
    used = mined.split.valid & (np.arange(mined.split.rows) % every_nth == 0)
    unit = mined.unit()
    for case in cases.itertuples():
        c = CLASS_IDS.index(case.class_id)
        y = unit @ mined.split.text[c]
        images = samples.loc[samples["failure_id"] == case.failure_id, "image_id"]
        own = y[(mined.split.labels == c) & used]
        evidence = meta["cases"][case.failure_id]["evidence"]
        assert evidence["distractors_short"] == pytest.approx(y[images].mean(), abs=1e-5)
        assert evidence["class_short"] == pytest.approx(own.mean(), abs=1e-5)
        assert evidence["class_std"] == pytest.approx(own.std(ddof=1), abs=1e-5)
        assert evidence["distractors_full"] == evidence["distractors_short"]
        assert (evidence["one_word"] is None) == (case.class_id != CLASS_IDS[1])


def test_no_flags_give_an_empty_list(mined):
    stamp = write_table(
        mined.paths["outliers"], mined.flags[:0], OUTLIERS, mined.stamp.params, mined.stamp.inputs
    )
    inputs = {"outliers": stamp.id}
    write_table(mined.paths["outlier_samples"], mined.flagged[:0], OUTLIER_SAMPLES, {}, inputs)
    cases, samples, _ = mined.list()
    assert len(cases) == len(samples) == 0


def test_prompts_of_another_encoder_are_refused(mined):
    for name in ("short", "extended", "words"):
        mined.write_prompts(name, mined.split.text, weights="0" * 64)
        with pytest.raises(RelianceError, match=name):
            mined.list()
        mined.write_prompts(name, mined.split.text)
    mined.write_text("vocabulary", [""], mined.split.text[:1], [-1], "0" * 64)
    with pytest.raises(RelianceError, match="labeller weights"):
        mined.list()


def test_other_images_than_the_mined_ones_are_refused(mined):
    with pytest.raises(RelianceError, match="images that were mined"):
        mined.list(every_nth=2)


def test_samples_of_other_outliers_are_refused(mined):
    write_table(mined.paths["outliers"], mined.flags, OUTLIERS, {"other": 1}, mined.stamp.inputs)
    with pytest.raises(RelianceError, match="same outliers"):
        mined.list()
