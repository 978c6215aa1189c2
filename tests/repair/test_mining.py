"""One concept in six latents: none of them is found alone, the family is; and all numbers by brute force."""

from types import SimpleNamespace
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from attribution.toy import CLASS_IDS, WEIGHTS, M
from failures import slow
from reliance.attribution.inputs import Computing
from reliance.base.artifacts import read_table, write_table
from reliance.base.stamps import read_stamp
from reliance.failures.outliers import Mining
from reliance.failures.schema import OUTLIER_SAMPLES, OUTLIERS
from reliance.repair.families import family_frame, levels_of, members_of
from reliance.repair.mining import mine_families
from reliance.repair.schema import CONFIDENT, FAMILIES

from .made import SPLIT, SplitConcept, levels

RULE = {"min_z": 3.0, "min_samples": 10, "confidence_std": 1.5, "min_relevance": 0.03}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    made = SplitConcept(tmp_path_factory.mktemp("split"))
    made.explained = made.files()
    made.families = made.folder / "families.parquet"
    sae = read_stamp(made.explained.sae).id
    write_table(made.families, family_frame(levels(M)), FAMILIES, {"cuts": [0.7, 0.4], "m": M}, {"sae": sae})
    return made


def mine(toy, folder, relevance="act_x_grad", contrastive=True, **rule):
    out = {name: folder / f"{name}.parquet" for name in ("outliers", "outlier_samples", "confident")}
    mine_families(
        toy.explained,
        families=toy.families,
        **out,
        every_nth=1,
        relevance=relevance,
        contrastive=contrastive,
        rule=Mining(**{**RULE, **rule}),
        computing=Computing(block_rows=50, threads=1, dtype="float64"),
    )
    tables = (
        read_table(out[n], spec) for n, spec in zip(out, (OUTLIERS, OUTLIER_SAMPLES, CONFIDENT), strict=True)
    )
    return [table.frame for table in tables]


def test_families_are_read_as_they_were_written(toy):
    table = read_table(toy.families, FAMILIES)
    assert (levels_of(table) == levels(M)).all()
    assert members_of(table, 3).tolist() == [3] and members_of(table, M + 4).tolist() == SPLIT.tolist()


@pytest.mark.parametrize("contrastive", [True, False])
@pytest.mark.parametrize("relevance", ["act_x_grad", "ablation"])
def test_no_latent_of_a_split_concept_is_found_alone_and_its_family_is(toy, tmp_path, relevance, contrastive):
    flags, samples, confident = mine(toy, tmp_path, relevance, contrastive)
    found = set(zip(flags["class_id"], flags["component"], strict=True))
    assert not found & {(CLASS_IDS[0], int(j)) for j in SPLIT}
    assert (CLASS_IDS[0], M + 4) in found
    own = samples[(samples["class_id"] == CLASS_IDS[0]) & (samples["component"] == M + 4)]
    assert len(own) >= RULE["min_samples"] and set(own["split"]) == {"train"}
    assert set(own["image_id"]) <= set(toy.shows)
    high = confident[confident["class_id"] == CLASS_IDS[0]]
    assert set(own["image_id"]) <= set(high["image_id"])


@pytest.mark.parametrize("contrastive", [True, False])
def test_families_are_mined_as_units_whose_relevance_is_the_sum(toy, tmp_path, contrastive):
    y, r = slow.relevances(toy, "act_x_grad")
    r = r - r.mean(axis=1, keepdims=True) if contrastive else r
    wide = [r] + [np.stack([r[..., f == number].sum(-1) for number in range(6)], -1) for f in levels(M)]
    both = np.concatenate([wide[0], wide[1] + wide[2]], axis=-1)
    rule = {**RULE, "min_relevance": 0.0} if contrastive else RULE  # its floor is that of test_measured
    rows = [i for i in range(toy.rows) if toy.valid[i] and toy.labels[i] >= 0]
    alone = slow.is_active(toy)
    together = [alone[:, (f == number)].any(1) for f in levels(M) for number in np.unique(f[f >= 0])]
    wide_toy = SimpleNamespace(labels=toy.labels, decoder=np.zeros((M + 6, 1)))
    with mock.patch.object(slow, "is_active", lambda split: np.column_stack([alone, *together])):
        kept, _, _ = slow.mine(wide_toy, y, both, rows, rule)
    flags, _, _ = mine(toy, tmp_path, contrastive=contrastive, **rule)
    assert kept and list(zip(flags["class_id"], flags["component"], strict=True)) == [
        (CLASS_IDS[c], j) for c, j in kept
    ]
    expected = pd.DataFrame(list(kept.values()))
    for name in ("n_flagged", "n_highconf", "mean_relevance", "mean_z"):
        np.testing.assert_allclose(flags[name], expected[name], rtol=1e-5)
    np.testing.assert_allclose(flags["q_value"], expected["q_value"], rtol=5e-3)  # over units and families


def test_all_images_of_other_classes_above_the_line_are_listed(toy, tmp_path):
    y, _ = slow.relevances(toy, "act_x_grad")
    usable = [i for i in range(toy.rows) if toy.valid[i] and toy.labels[i] >= 0]
    expected = []
    for c, class_id in enumerate(CLASS_IDS):
        own = y[[i for i in usable if toy.labels[i] == c], c]
        line = own.mean() - RULE["confidence_std"] * own.std(ddof=1)
        others = [i for i in usable if toy.labels[i] != c and y[i, c] > line]
        expected += [(class_id, i, y[i, c]) for i in others]
    found = mine(toy, tmp_path)[2]
    assert expected and list(zip(found["class_id"], found["image_id"], strict=True)) == [
        pair[:2] for pair in expected
    ]
    np.testing.assert_allclose(found["y"], [y for *_, y in expected], rtol=1e-5)


def test_families_of_other_units_are_refused(toy, tmp_path):
    other = tmp_path / "families.parquet"
    write_table(other, family_frame(levels(M)), FAMILIES, {"cuts": [0.7, 0.4], "m": M}, {"sae": WEIGHTS})
    with pytest.raises(Exception, match="SAE"):
        mine_families(
            toy.explained,
            families=other,
            **{n: tmp_path / f"{n}.parquet" for n in ("outliers", "outlier_samples", "confident")},
        )
