"""An audit of a classifier that was not trained here."""

import numpy as np
import pytest

from reliance.audits.files import load_probes
from reliance.audits.inputs import lengths_of, unit_embeddings
from reliance.audits.probe_audit import audit_relevances
from reliance.audits.schema import ACCURACIES, CHOICE_KIND, CHOICE_SCHEMA, RELEVANCES
from reliance.base.artifacts import read_json, read_table
from reliance.base.errors import RelianceError
from reliance.encoders.head import project
from reliance.robustness.given import take_probe
from reliance.robustness.probes import load_probe
from reliance.running.job import bundled

from .test_probe_audit import audited, fit, opened, split_of
from .toy import LEARNED, SHORTCUT, P, Toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    made = Toy(folder)
    paths = made.write()
    paths["audit_split"] = split_of(paths, folder)
    return made, paths, fit(paths, folder)


def take(paths, folder, weight, bias, **settings):
    np.savez(folder / "h.npz", weight=weight, bias=bias, **settings.pop("arrays", {}))
    files = {"file": folder / "h.npz", "classes": paths["classes"], "embeddings": paths["test"]}
    take_probe(**files, probe=folder / "given.safetensors", **settings)
    return folder / "given.safetensors"


def test_our_own_probe_as_a_file_is_audited_as_it_was(toy, tmp_path):
    _, paths, out = toy
    own, _ = load_probes(out["probe"])
    given = take(paths, tmp_path, own.weight[:1], own.bias[:1], scale=10.0)
    again, stamp = load_probes(fit(paths, tmp_path, given=given)["probe"])
    np.testing.assert_allclose(again.weight, own.weight, rtol=1e-6)
    assert not again.raw and stamp.inputs["given"] == load_probe(given)[1].id
    choice, _ = read_json(tmp_path / "choice.json", CHOICE_KIND, CHOICE_SCHEMA)
    assert choice["component"] == SHORTCUT and choice["probe_given"] == "h.npz"


def test_a_probe_of_embeddings_that_are_not_normalised(toy, tmp_path):
    made, paths, out = toy
    own, _ = load_probes(out["probe"])
    bias = own.bias[:1]
    given = take(paths, tmp_path, own.weight[:1], bias, scale=3.0, normalised=False)
    found = fit(paths, tmp_path, given=given)
    probes, _ = load_probes(found["probe"])
    assert probes.raw
    learned = opened(paths)
    rows = learned.rows
    z = project(made.x["train"][rows], made.head).astype(np.float64)
    odds = 3 * z @ own.weight[0].astype(np.float64) + bias[0]
    lengths = lengths_of(learned.embedded, rows, 33)
    unit = unit_embeddings(learned.embedded, rows, 33)
    np.testing.assert_allclose(probes.log_odds(unit, lengths)[:, 0], odds, atol=1e-3)
    with pytest.raises(ValueError, match="lengths"):
        probes.log_odds(unit)
    audited(paths, tmp_path, found)
    table = read_table(tmp_path / "accuracies.parquet", ACCURACIES).frame
    z = project(made.x["test"], made.head)[made.classes["test"] == 4]
    plain = table[(table["probe"] == "plain") & (table["change"] == "none") & ~table["positive"]]
    assert plain["accuracy"].item() == pytest.approx((3 * z @ own.weight[0] + bias[0] <= 0).mean())

    keywords = {name: paths[name] for name in (*LEARNED, "audit_split")}
    keywords |= {"probe": found["probe"], "relevances": tmp_path / "r.parquet", "alpha": 3.0}
    audit_relevances(**bundled(audit_relevances, {**keywords, "relevance": "ablation"}))
    frame = read_table(tmp_path / "r.parquet", RELEVANCES).frame
    own_rows = frame[(frame["probe"] == "plain") & frame["positive"]].set_index("component")["relevance"]
    x = made.x["train"][rows][learned.positive]
    a = made.a["train"][rows][learned.positive][:, SHORTCUT, None].astype(np.float16)
    moved = (project(x, made.head) - project(x - a * made.decoder[SHORTCUT], made.head)) @ own.weight[0]
    assert own_rows.get(SHORTCUT, 0.0) == pytest.approx(3 * moved.mean(), abs=1e-3)


def test_two_classes_of_several_are_their_difference(toy, tmp_path):
    _, paths, _ = toy
    g = np.random.default_rng(0)
    weight, bias = g.normal(size=(3, P)).astype("f4"), g.normal(size=3).astype("f4")
    given = take(paths, tmp_path, weight, bias, scale=10.0, arrays={"classes": np.array(["mel", "nv", "df"])})
    probes, _ = load_probes(fit(paths, tmp_path, given=given)["probe"])
    np.testing.assert_allclose(probes.weight[0], weight[0] - weight[1], rtol=1e-5)
    assert probes.bias[0] == pytest.approx(bias[0] - bias[1])
    own = {**paths, "audit_split": split_of(paths, tmp_path, negative=None)}
    with pytest.raises(RelianceError, match="one class on either side"):
        fit(own, tmp_path, given=given)
