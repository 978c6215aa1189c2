"""The stages on a small data set with a shortcut, and without one."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from reliance.audits.accuracy import audit_accuracies
from reliance.audits.files import load_probes
from reliance.audits.inputs import open_learned, unit_embeddings
from reliance.audits.probe_audit import audit_relevances, fit_audit
from reliance.audits.schema import (
    ACCURACIES,
    AUDIT_KIND,
    AUDIT_SCHEMA,
    CHOICE_KIND,
    CHOICE_SCHEMA,
    RELEVANCES,
)
from reliance.audits.split import split_audit
from reliance.base.artifacts import read_json, read_table
from reliance.base.errors import RelianceError
from reliance.encoders.head import project
from reliance.running.job import bundled

from .toy import LEARNED, NEGATIVE, POSITIVE, SHORTCUT, Toy

SETTINGS = {"alpha": 3.0, "alphas": [0.0, 1.0, 3.0], "block_rows": 50}


def split_of(paths, folder, **settings):
    out = folder / "split.parquet"
    given = {"positive": ["melanoma"], "negative": ["naevus"], "negatives": 90, **settings}
    split_audit(index=paths["index"], classes=paths["classes"], audit_split=out, **given)
    return out


def fit(paths, folder, **settings):
    files = {name: paths[name] for name in (*LEARNED, "components", "increased")} | {"tested": paths["test"]}
    out = {"probe": folder / "probe.safetensors", "choice": folder / "choice.json"}
    keywords = {**files, "audit_split": paths["audit_split"], **SETTINGS, **settings, **out}
    fit_audit(**bundled(fit_audit, keywords))
    return out


def opened(paths):
    return open_learned(**bundled(open_learned, {n: paths[n] for n in (*LEARNED, "audit_split")}))


def audited(paths, folder, out, **given):
    files = {
        "embeddings": paths["test"],
        "increased": paths["increased"],
        "reduced": paths["reduced"],
        **given,
    }
    audit_accuracies(
        index=paths["index"],
        audit_split=paths["audit_split"],
        **files,
        **out,
        accuracies=folder / "accuracies.parquet",
        audit=folder / "audit.json",
        block_rows=37,
    )
    return read_json(folder / "audit.json", AUDIT_KIND, AUDIT_SCHEMA)[0]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    made = Toy(folder)
    paths = made.write()
    paths["audit_split"] = split_of(paths, folder)
    return made, paths, fit(paths, folder)


def test_the_shortcut_is_found_claimed_and_repaired(toy, tmp_path):
    _, paths, out = toy
    found = audited(paths, tmp_path, out)
    assert found["component"] == SHORTCUT
    assert found["label"] == f"label {SHORTCUT}"
    assert found["rank"] <= 2
    assert found["shift"] > 0.9
    weights = [one["share"] * max(one["shift"], 0) ** 2 for one in found["considered"]]
    assert found["share"] * found["shift"] ** 2 == max(weights)
    assert found["names"] == ["melanoma", "naevus"]
    assert found["claim"]
    assert found["fallen"] == "positive"
    assert found["halved"]
    assert found["transforms"]["increased"] == {"channel": "red", "delta": -2.0}


def test_without_a_shortcut_none_is_claimed(tmp_path):
    paths = Toy(tmp_path, planted=False).write()
    paths["audit_split"] = split_of(paths, tmp_path)
    found = audited(paths, tmp_path, fit(paths, tmp_path))
    assert found["component"] != SHORTCUT
    assert not found["claim"]
    assert found["halved"] is None


def test_the_plain_probe_is_scikit_learns(toy):
    made, paths, out = toy
    probes, _ = load_probes(out["probe"])
    learned = opened(paths)
    x = made.x["train"][learned.rows]
    z = project(x, made.head)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    np.testing.assert_allclose(unit_embeddings(learned.embedded, learned.rows, 33), unit, atol=1e-6)
    assert (learned.positive == (made.classes["train"][learned.rows] == 0)).all()
    referee = LogisticRegression(C=1.0, tol=1e-8, max_iter=5000).fit(10 * unit, learned.positive)
    np.testing.assert_allclose(probes.weight[0], referee.coef_[0], atol=1e-3)
    np.testing.assert_allclose(probes.log_odds(unit)[:, 0], referee.decision_function(10 * unit), atol=5e-3)
    assert probes.alpha.tolist() == [0.0, 1.0, 3.0]


def test_the_direction_leads_from_weak_to_strong_negatives(toy):
    made, paths, out = toy
    probes, _ = load_probes(out["probe"])
    choice, _ = read_json(out["choice"], CHOICE_KIND, CHOICE_SCHEMA)
    learned = opened(paths)
    unit = unit_embeddings(learned.embedded, learned.rows, 1000)[~learned.positive]
    activation = made.a["train"][learned.rows][~learned.positive, SHORTCUT].astype(np.float16)
    firing = activation[activation > 0].astype(np.float64)
    low, high = max(np.quantile(activation.astype(np.float64), 0.1), firing.min()), np.median(firing)
    u = unit[activation > high].mean(0) - unit[activation < low].mean(0)
    np.testing.assert_allclose(probes.direction, u, atol=1e-6)
    assert (choice["n_low"], choice["n_high"]) == ((activation < low).sum(), (activation > high).sum())
    assert choice["length"] == pytest.approx(np.linalg.norm(u), rel=1e-5)
    assert choice["mean_activation"] == pytest.approx(activation.mean(), rel=1e-3)


def test_relevances_of_both_probes(toy, tmp_path):
    _, paths, out = toy
    files = {n: paths[n] for n in (*LEARNED, "audit_split")}
    path = tmp_path / "relevances.parquet"
    keywords = {**files, "probe": out["probe"], "relevances": path, "alpha": 3.0, "block_rows": 41}
    audit_relevances(**bundled(audit_relevances, keywords))
    frame = read_table(path, RELEVANCES).frame
    negative = frame[~frame["positive"]].set_index(["probe", "component"])
    assert negative.loc[("plain", SHORTCUT), "rank"] <= 2
    assert negative.loc[("robust", SHORTCUT), "share"] < negative.loc[("plain", SHORTCUT), "share"] / 2
    assert negative.loc[("plain", NEGATIVE), "relevance"] > 0
    assert POSITIVE in frame.loc[frame["positive"] & (frame["rank"] == 1), "component"].tolist()
    assert set(frame["n"]) == set(read_json(out["choice"], CHOICE_KIND, CHOICE_SCHEMA)[0]["n_fit"])


def test_accuracies_of_every_probe_change_and_class(toy, tmp_path):
    made, paths, out = toy
    audited(paths, tmp_path, out)
    frame = read_table(tmp_path / "accuracies.parquet", ACCURACIES).frame
    assert len(frame) == 3 * 3 * 2
    assert set(frame["n"]) == {80}
    probes, _ = load_probes(out["probe"])
    z = project(made.x["test"], made.head)
    odds = probes.log_odds(z / np.linalg.norm(z, axis=1, keepdims=True))[made.classes["test"] == 4, 0]
    row = frame[(frame["probe"] == "plain") & (frame["change"] == "none") & ~frame["positive"]].iloc[0]
    assert row["accuracy"] == pytest.approx((odds <= 0).mean())


def test_no_opposite_is_needed(toy, tmp_path):
    _, paths, out = toy
    audited(paths, tmp_path, out, reduced=None)
    frame = read_table(tmp_path / "accuracies.parquet", ACCURACIES).frame
    assert set(frame["change"]) == {"none", "increased"}


def test_the_rest_of_the_training_split_is_tested_on(toy, tmp_path):
    made, paths, _ = toy
    own = {**paths, "audit_split": split_of(paths, tmp_path, test_on="rest", negatives=60)}
    change = {"split": "train", "transform": {"channel": "red", "delta": -1}}
    changed, _ = made.embed("train_more", made.x["train"], change)
    found = audited(
        own, tmp_path, fit(own, tmp_path), embeddings=paths["embeddings"], increased=changed, reduced=None
    )
    assert found["split"] == "train"
    n = read_table(tmp_path / "accuracies.parquet", ACCURACIES).frame["n"]
    assert set(n) == {
        (made.classes["train"] == 4).sum() - 60,
        round(0.2 * (made.classes["train"] == 0).sum()),
    }


def test_one_candidate_is_the_most_relevant_one(toy, tmp_path):
    _, paths, _ = toy
    first, _ = read_json(fit(paths, tmp_path, candidates=1)["choice"], CHOICE_KIND, CHOICE_SCHEMA)
    assert (first["rank"], len(first["considered"])) == (1, 1)


def test_a_component_that_the_change_moves_the_other_way_is_no_candidate(toy, tmp_path):
    """With the two transforms swapped the cosine of the shortcut is negative, and so not of use."""
    _, paths, _ = toy
    swapped = fit(paths, tmp_path, increased=paths["test"], tested=paths["increased"])
    found, _ = read_json(swapped["choice"], CHOICE_KIND, CHOICE_SCHEMA)
    shifts = {one["component"]: one["shift"] for one in found["considered"]}
    assert shifts[SHORTCUT] < -0.9
    assert found["component"] != SHORTCUT


def test_a_component_may_be_given(toy, tmp_path):
    _, paths, _ = toy
    out = fit(paths, tmp_path, component=NEGATIVE, low=0.5, high=0.9)
    choice, _ = read_json(out["choice"], CHOICE_KIND, CHOICE_SCHEMA)
    assert (choice["component"], choice["low"], choice["high"]) == (NEGATIVE, 0.5, 0.9)
    assert choice["given"]
    assert [one["component"] for one in choice["considered"]] == [NEGATIVE]


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"component": 0}, "audit.component"),
        ({"component": 999}, "audit.component"),
        ({"high": 50.0}, "audit.low, audit.high"),
        ({"low": 0.0}, "audit.low, audit.high"),
    ],
)
def test_mistakes(toy, tmp_path, settings, where):
    _, paths, _ = toy
    with pytest.raises(RelianceError) as caught:
        fit(paths, tmp_path, **settings)
    assert caught.value.where == where


def test_what_does_not_belong_together_is_refused(toy, tmp_path):
    _, paths, out = toy
    with pytest.raises(RelianceError, match="transform None"):
        audited(paths, tmp_path, out, increased=paths["test"])
    with pytest.raises(RelianceError, match="as they are"):
        audited(paths, tmp_path, out, embeddings=paths["reduced"])
    other = {**paths, "audit_split": split_of(paths, tmp_path, seed=5)}
    with pytest.raises(RelianceError, match="same audit_split"):
        audited(other, tmp_path, out)
