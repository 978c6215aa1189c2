"""The small planted variant, built for real: its files, and its numbers recomputed from the files alone."""

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import zarr
from safetensors import safe_open

import reliance

from .project import FIGURES, TARGETS, Project

COLUMNS = {
    "datasets/planted_tiny/index.parquet": "split image_id path class_id bytes",
    "datasets/planted_tiny/classes.parquet": "class_id folder short_name full_name definition",
    "encoders/tiny/class_token/planted_tiny/excluded.parquet": "split image_id path reason",
    "datasets/planted_tiny/truth.parquet": "split image_id object word background band plant_id mode",
    "encoders/tiny/planted_tiny/text/short.parquet": "prompt_id class_id prompts embedding",
    "tiny/top_samples.parquet": "component rank image_id activation",
    "tiny/components.parquet": "component n_active firing_rate mean max top5_mean top20_mean clarity label "
    "alignment runner_up",
    "tiny/name_stability.parquet": "component label confidence images words rival",
    "tiny/attributions/subset.parquet": "image_id class_id component activation act_x_grad ablation",
    "tiny/attributions/test.parquet": "image_id class_id component activation act_x_grad ablation",
    "tiny/expectations.parquet": "class_id component n n_active mean std y_mean y_std",
    "tiny/outliers.parquet": "class_id component n_flagged n_highconf p0 p_value q_value mean_z "
    "mean_relevance unseen_in_reference",
    "tiny/outlier_samples.parquet": "class_id component split image_id y relevance z",
    "tiny/failure_samples.parquet": "failure_id dataset split image_id",
    "tiny/components/sae/test.parquet": "component n_active mean top5_mean clarity",
    "tiny/components/neurons/train.parquet": "component n_active top20_mean clarity label",
    "tiny/components/pca/train.parquet": "component n_active top20_mean clarity label",
    "tiny/components/random/train.parquet": "component n_active top20_mean clarity label",
    "tiny/components/untrained/train.parquet": "component n_active top20_mean clarity label",
    "tiny/hidden.parquet": "component band clarity activation alignment label runner_up class_id relevance "
    "share n_classes by_relevance by_activation",
    "tiny/faithfulness.parquet": "protocol method error_term restrict_to_active step class_id subset n y "
    "y_std",
    "encoders/tiny_labeller/embedding/planted_tiny/alignments.parquet": "class_id n alignment",
    "tiny/robustness.parquet": "failure_id kind mode source discovered_on probe spurious_auc valid_auc",
}
TENSORS = {
    "tiny/sae/sae.safetensors": "encoder_weight encoder_bias decoder_weight bias",
    "encoders/tiny/class_token/head.safetensors": "ln_weight ln_bias proj",
    "encoders/tiny/class_token/planted_tiny/probe.safetensors": "weight bias",
}


@pytest.mark.parametrize("path", COLUMNS)
def test_tables_have_their_columns(built: Project, path: str) -> None:
    schema = pq.read_schema(built.folder / "results" / path)
    assert set(COLUMNS[path].split()) <= set(schema.names)
    assert len(json.loads(schema.metadata[b"reliance"])["id"]) == 64


def test_the_built_variant_opens_by_its_folder(built: Project) -> None:
    study = reliance.open(built.folder / "results/tiny")
    image = int(np.flatnonzero(study.embeddings("test").read("valid", 0, 50))[0])
    stored = study.attributions("test").query("image_id == @image").set_index("component")["ablation"]
    found = study.relevances(image, "test").set_index("component")["ablation"]
    assert found.to_dict() == pytest.approx(stored.to_dict(), abs=1e-5)
    assert study.findings and len(study.components) and study.has("figures", "fig5.pdf")


@pytest.mark.parametrize("path", TENSORS)
def test_tensors_have_their_names(built: Project, path: str) -> None:
    with safe_open(built.folder / "results" / path, "np") as file:
        assert set(TENSORS[path].split()) <= set(file.keys())
        assert "reliance" in file.metadata()


def test_every_target_is_there_with_its_numbers_and_its_stamp(built: Project) -> None:
    for target in TARGETS:
        assert (built.folder / target).stat().st_size > 0
    for figure in (*(f"tiny/{name}" for name in FIGURES), "compare/tiny/fig4", "compare/tiny/fig5"):
        for suffix in (".pdf", ".png", ".csv", ".caption.md", ".pdf.meta.json"):
            assert (built.folder / f"results/{figure}{suffix}").stat().st_size > 0


def test_the_page_holds_every_figure_and_every_finding(built: Project) -> None:
    page = (built.folder / "results/tiny/report.html").read_text()
    for name in (*FIGURES, "table1"):
        assert f'<figure id="{name}"' in page
    assert page.count("data:image/webp;base64,") == len(FIGURES)
    assert "Against the planted truth" in page
    findings = json.loads((built.folder / "results/tiny/findings.json").read_text())["findings"]
    names = {f["name"].split(":")[0] for topic in findings.values() for f in topic}
    assert set(findings) == {"Failure modes", "Faithfulness", "Interpretability"}
    assert len(names) >= 10
    assert {f["verdict"] for topic in findings.values() for f in topic} <= {
        "holds",
        "does not hold",
        "undecided",
    }


def test_snakemake_makes_its_own_report(built: Project) -> None:
    done = built.run("results/tiny/report.html", "--report", "report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(ERROR" not in done.stderr
    text = (built.folder / "report.html").read_text()
    for category in ("Robustness", "Faithfulness", "Interpretability"):
        assert category in text


def test_deletion_recomputed_from_the_files_alone(built: Project) -> None:
    """Mean output while the strongest latents by exact leave-one-out are set to zero one by one."""
    results = built.folder / "results"
    curves = pq.read_table(results / "tiny/faithfulness.parquet").to_pandas()
    own = curves[(curves["protocol"] == "local_deletion") & (curves["method"] == "ablation")]
    own = own[(own["error_term"] == "frozen") & own["restrict_to_active"]]
    found = [(part["y"] * part["n"]).sum() / part["n"].sum() for _, part in own.groupby("step")]
    rows = pq.read_table(results / "tiny/attributions/test.parquet").to_pandas()
    x = _array(results / "encoders/tiny/class_token/planted_tiny/test", "x").astype(np.float64)
    decoder = _tensor(results / "tiny/sae/sae.safetensors", "decoder_weight").numpy()
    index = pq.read_table(results / "datasets/planted_tiny/index.parquet").to_pandas()
    labels = index[index["split"] == "test"].sort_values("image_id")["class_id"].to_numpy()
    totals = np.zeros(4)
    for image, part in rows.groupby("image_id"):
        order = part.sort_values("ablation", ascending=False)
        for step in range(len(totals)):
            gone = order.iloc[:step]
            less = x[image] - gone["activation"].to_numpy(np.float64) @ decoder[gone["component"]]
            totals[step] += _output(results, less, labels[image])
    assert found[: len(totals)] == pytest.approx(totals / len(x), abs=1e-5)


def test_attributions_recomputed_from_the_files_alone(built: Project) -> None:
    """Autograd and brute-force ablation in float64, from the artifacts and nothing of ours."""
    results = built.folder / "results"
    rows = pq.read_table(results / "tiny/attributions/test.parquet").to_pandas()
    images = rows["image_id"].unique()[::40]
    x = _array(results / "encoders/tiny/class_token/planted_tiny/test", "x")
    values, indices = (_array(results / "tiny/codes/test", name) for name in ("values", "indices"))
    decoder = _tensor(results / "tiny/sae/sae.safetensors", "decoder_weight")
    g, b, w = (
        _tensor(results / "encoders/tiny/class_token/head.safetensors", n)
        for n in ("ln_weight", "ln_bias", "proj")
    )
    text = pq.read_table(results / "encoders/tiny/planted_tiny/text/short.parquet").to_pandas()
    t = torch.tensor(np.stack(text.sort_values("class_id")["embedding"].to_list())).double()

    def output(
        image: torch.Tensor, activations: torch.Tensor, rest: torch.Tensor, label: int
    ) -> torch.Tensor:
        v = decoder[torch.tensor(indices[image].astype(np.int64))]
        z = torch.nn.functional.layer_norm(activations @ v + rest, (len(g),), g, b, 1e-5) @ w
        return torch.nn.functional.cosine_similarity(z, t[label], dim=0)

    for image in images:
        own = rows[rows["image_id"] == image]
        a = torch.tensor(values[image].astype(np.float64), requires_grad=True)
        v = decoder[torch.tensor(indices[image].astype(np.int64))]
        rest = torch.tensor(x[image].astype(np.float64)) - a.detach() @ v
        y = output(image, a, rest, own["class_id"].iloc[0])
        (gradient,) = torch.autograd.grad(y, a)
        assert len(own) == (values[image] > 0).sum()
        for row in own.itertuples():
            (slot,) = np.flatnonzero((indices[image] == row.component) & (values[image] > 0))
            without = a.detach().clone()
            without[slot] = 0
            ablation = (y - output(image, without, rest, row.class_id)).item()
            assert row.act_x_grad == pytest.approx((a * gradient)[slot].item(), abs=2e-6)
            assert row.ablation == pytest.approx(ablation, abs=2e-6)


def test_some_of_what_was_planted_is_found(built: Project) -> None:
    truth = json.loads((built.folder / "results/tiny/truth.json").read_text())
    for kind in ("polysemous", "typography"):
        assert truth["all"]["kinds"][kind]["recall"] > 0


@functools.cache
def _head(results: Path) -> tuple[np.ndarray, ...]:
    text = pq.read_table(results / "encoders/tiny/planted_tiny/text/short.parquet").to_pandas()
    vectors = np.stack(text.sort_values("class_id")["embedding"].to_list()).astype(np.float64)
    head = results / "encoders/tiny/class_token/head.safetensors"
    return *(_tensor(head, n).numpy() for n in ("ln_weight", "ln_bias", "proj")), vectors


def _output(results: Path, x: np.ndarray, label: int) -> float:
    g, b, w, text = _head(results)
    centred = x - x.mean()
    z = (centred / np.sqrt((centred**2).mean() + 1e-5) * g + b) @ w
    return float(z @ text[label] / np.linalg.norm(z) / np.linalg.norm(text[label]))


def _array(folder, name: str) -> np.ndarray:  # type: ignore[no-untyped-def]
    return np.concatenate([zarr.open_group(p, mode="r")[name][:] for p in sorted(folder.glob("part-*.zarr"))])


def _tensor(path, name: str) -> torch.Tensor:  # type: ignore[no-untyped-def]
    with safe_open(path, "pt") as file:
        return file.get_tensor(name).double()


def test_cases_found_elsewhere_are_scored_beside_the_mined_ones(built: Project, tmp_path: Path) -> None:
    project = built.copy(tmp_path / "project")
    classes = sorted((project.folder / "results/datasets/planted_tiny/images/train").iterdir())
    case = tmp_path / "cases" / "3_component_12"
    case.mkdir(parents=True)
    for image in sorted(classes[5].iterdir())[:8]:
        shutil.copy(image, case)
    done = project.run(
        "results/tiny/robustness.parquet",
        "--config",
        f"external_lists={{odd: {{dataset: planted_tiny, source: user, kind: other, root: {case.parent}}}}}",
        "variants={tiny: {external: [odd]}}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = pq.read_table(project.folder / "results/tiny/robustness.parquet").to_pandas()
    user = rows[rows["source"] == "user"]
    assert len(user) == 5
    assert set(user["n_distractors"]) == {8}
    assert user["spurious_auc"].between(0, 1).all()
