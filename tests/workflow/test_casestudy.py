"""An audit of a probe by configuration alone: figures, page, numbers recomputed, and what reruns."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open
from sklearn.linear_model import LogisticRegression

from .project import Project
from .test_end_to_end import _array, _tensor

TARGETS = ("results/tiny/report.html", "results/tiny/fig15.pdf")
JUDGED = {"audit_accuracies", "fig6", "fig15", "paper", "report"}


def audit(**changes: str) -> tuple[str, str]:
    """The option that has the small variant audited."""
    keys = {"positive": "[0, 1, 2, 3]", "alphas": "[0.5, 2]", **changes}
    said = ", ".join(f"{key}: {value}" for key, value in keys.items())
    return "--config", f"variants={{tiny: {{audit: {{{said}}}}}}}"


@pytest.fixture(scope="module")
def audited(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = built.copy(tmp_path_factory.mktemp("audit") / "project")
    done = project.run(*TARGETS, *audit())
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def test_the_page_shows_the_audit(audited: Project) -> None:
    results = audited.folder / "results/tiny"
    page = (results / "report.html").read_text()
    for name in ("fig6", "fig15"):
        assert f'<figure id="{name}">' in page
        for suffix in (".pdf", ".png", ".csv", ".caption.md"):
            assert (results / f"{name}{suffix}").stat().st_size > 0
    assert "was audited" in page
    findings = json.loads((results / "findings.json").read_text())["findings"]
    assert [f["name"] for f in findings["Case study"]] == ["shortcut", "repair", "less_relevant", "strength"]


def test_accuracies_recomputed_from_the_files_alone(audited: Project) -> None:
    """scikit-learn on the same images, and the changed images' own embeddings."""
    results = audited.folder / "results"
    drawn = pq.read_table(results / "tiny/audit/split.parquet").to_pandas()
    fit = drawn[drawn["fit"]]
    model = LogisticRegression(C=1.0, max_iter=5000, tol=1e-8)
    model.fit(10 * _unit(results, "train")[fit["image_id"]], fit["positive"])
    with safe_open(results / "tiny/audit/probe.safetensors", "np") as file:
        assert "reliance" in file.metadata()
    table = pq.read_table(results / "tiny/audit/accuracies.parquet").to_pandas()
    plain = table[table["probe"] == "plain"].set_index(["change", "positive"])["accuracy"]
    held_out = drawn[(drawn["split"] == "test") & ~drawn["fit"]]
    for change, split in (("none", "test"), ("increased", "test@red_more"), ("reduced", "test@red_less")):
        said = model.predict(10 * _unit(results, split)[held_out["image_id"]])
        for positive in (True, False):
            own = (held_out["positive"] == positive).to_numpy()
            assert plain[change, positive] == pytest.approx(np.mean(said[own] == positive), abs=0.01)


def _unit(results: Path, split: str) -> np.ndarray:
    """Unit embeddings in float64, from class tokens and head."""
    x = _array(results / "encoders/tiny/class_token/planted_tiny" / split, "x").astype(np.float64)
    head = results / "encoders/tiny/class_token/head.safetensors"
    g, b, w = (_tensor(head, n).numpy() for n in ("ln_weight", "ln_bias", "proj"))
    centred = x - x.mean(1, keepdims=True)
    z = (centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * g + b) @ w
    return z / np.linalg.norm(z, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"alpha": "0.7"}, {"fit_audit", "audit_relevances"} | JUDGED),
        ({"seed": "3"}, {"split_audit", "fit_audit", "audit_relevances"} | JUDGED),
        (
            {"intervention": "{transform: red_less, opposite: null}"},
            {"fit_audit", "audit_relevances"} | JUDGED,
        ),
    ],
)
def test_a_changed_audit_reruns_the_audit(
    audited: Project, changes: dict[str, str], expected: set[str]
) -> None:
    assert audited.planned(*audit(**changes), targets=TARGETS) == expected


def test_what_is_not_audited_says_how(built: Project) -> None:
    done = built.run("results/tiny/fig6.pdf")
    assert done.returncode != 0
    assert "--config 'variants={tiny: {audit: {positive: [CLASS]}}}'" in done.stdout + done.stderr
