"""What a change reruns: exactly the rules that depend on it (and nothing after a mere touch)."""

import ast
import shutil
from pathlib import Path

import pytest

from .project import Project

FIGURES = {"fig5", "fig14", "table1", "compare_fig5", "fig12", "fig13", "paper", "report"}
CASES = {"list_cases", "score_truth", "score_cases"} | FIGURES
MINING = {"mine_outliers"} | CASES
CURVES = {"fig3", "fig3b", "fig7", "fig8", "report"}
CONCEPTS = {"fig10", "fig11", "report"}
BASES = {"fig4", "compare_fig4", "paper", "report"}
NAMES = {"component_table", "component_table_test", "hidden_concepts", "fig9"} | BASES | CONCEPTS
NAMES |= {"name_stability"}
CODES = (
    {"encode", "gather_codes", "top_samples", "attribute_split", "expectations", "faithfulness"}
    | MINING
    | NAMES
    | CURVES
)


EMBEDDED = CODES | {"embed_images", "embed_images_embedding", "gather_embeddings", "gather_excluded"}
OTHER_BASES = {"faithfulness_neurons", "faithfulness_pca"}
EMBEDDED |= {"train_sae", "zero_shot", "fit_probe", "basis_table", "alignment_baseline"} | OTHER_BASES


BROWSED = {"component_table", "component_table_test", "hidden_concepts", "alignment_baseline", "score_cases"}
BROWSED |= {"name_stability"}
LOOKED_UP = {
    "view_units": {"gather_codes", "component_table"},
    "index_expectations": {"attribute_split", "expectations"},
}


def with_answers(expected: set[str]) -> set[str]:
    """The same with what is made for questions and for the atlas from what reruns."""
    found = expected | {name for name, sources in LOOKED_UP.items() if sources & expected}
    return found | ({"atlas"} if found & (BROWSED | set(LOOKED_UP)) else set())


RETRAINED = {
    "check_data",
    "train_sae",
    "describe_variant",
    "basis_table",
} | CODES  # what a key of the SAE reruns


def test_nothing_is_left_to_do(built: Project) -> None:
    assert built.planned() == set()


def test_touching_files_reruns_nothing(built: Project) -> None:
    for part in ("src", "scripts", "rules", "config", "workflow"):
        for path in (built.folder / part).rglob("*"):
            path.touch()
    for path in (built.folder / "results").rglob("*"):
        if path.suffix in (".parquet", ".json", ".safetensors", ".tsv"):
            path.touch()
    assert built.planned() == set()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("variants={tiny: {failures: {min_z: 4.5}}}", MINING),
        ("variants={tiny: {failures: {max_cases_per_class: 2}}}", CASES),
        ("variants={tiny: {sae: {k: 6}}}", RETRAINED),
        ("naming={top_n: 10}", {"check_data", "basis_table"} | NAMES | CASES),
        ("faithfulness={path_steps: 20}", {"faithfulness", *OTHER_BASES} | CURVES),
        ("hidden={min_relevance: 0.05}", {"hidden_concepts"} | CONCEPTS),
        ("galleries={per_band: 4}", CONCEPTS),
        ("probe={c: 0.5}", {"fit_probe", "score_cases"} | FIGURES),
        ("templates=['{}', 'the {}']", {"embed_templates", "zero_shot", "score_cases"} | FIGURES),
        ("images={max_invalid: 0.002}", set()),
        ("embedding={workers: 2}", set()),
        ("embedding={jpeg_decoding: exact}", set()),
        ("embedding={jpeg_decoding: reduced}", EMBEDDED),
        ("compute={block_rows: 5000}", set()),
    ],
)
def test_a_changed_value_reruns_what_depends_on_it(built: Project, config: str, expected: set[str]) -> None:
    assert built.planned("--config", config) == with_answers(expected)


@pytest.mark.parametrize(
    ("module", "old", "new", "expected"),
    [
        ("figures/robustness/fig5.py", "def fig5(", "X = 1\n\n\ndef fig5(", set()),
        ("figures/robustness/table1.py", None, None, {"table1", "report"}),
        ("robustness/auc.py", None, None, {"score_cases"} | FIGURES),
        ("units/sae/step.py", None, None, {"train_sae", "basis_table"} | CODES),
    ],
)
def test_edited_code_reruns_the_rules_that_reach_it(
    built: Project, module: str, old: str | None, new: str | None, expected: set[str]
) -> None:
    path = built.folder / "src/reliance" / module
    kept = path.with_suffix(".kept")
    shutil.copy2(path, kept)
    try:
        text = path.read_text()
        path.write_text(text.replace(old, new) if old and new else _edit_every_function(text))
        assert built.planned() == with_answers(expected)
        path.write_text(text + "\n# a comment\n")
        assert built.planned() == set()
    finally:
        shutil.move(kept, path)


def test_an_edited_plot_reruns_the_plot(built: Project) -> None:
    path: Path = built.folder / "src/reliance/figures/robustness/fig5.py"
    text = path.read_text()
    try:
        path.write_text(_edit_every_function(text))
        assert built.planned() == {"fig5", "compare_fig5", "report"}
    finally:
        path.write_text(text)


def _edit_every_function(text: str) -> str:
    """The module with one harmless statement more in every function."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body.append(ast.parse("str()").body[0])
    return ast.unparse(tree)


def test_embeddings_of_another_run_are_used_as_they_are(built: Project, tmp_path: Path) -> None:
    project = built.copy(tmp_path / "project")
    other = tmp_path / "colleague/results"
    place = "encoders/tiny/class_token/planted_tiny"
    (other / place).mkdir(parents=True)
    for split in ("train", "test"):
        shutil.move(project.folder / "results" / place / split, other / place / split)
    config = ("--config", f"encoders={{tiny: {{embeddings_from: {other}}}}}")
    before = (project.folder / "results/tiny/codes/train/manifest.json").read_bytes()
    planned = project.planned(*config)
    assert "train_sae" in planned, "it reads other files now"
    assert not planned & {
        "embed_images",
        "embed_images_embedding",
        "gather_embeddings",
        "embed_text",
        "train_clip",
    }
    done = project.run("results/tiny/codes/train/manifest.json", *config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.folder / "results/tiny/codes/train/manifest.json").read_bytes() == before
    (other / place / "train/manifest.json").unlink()
    missing = project.run("results/tiny/codes/train/manifest.json", *config)
    assert "encoders.tiny.embeddings_from" in missing.stdout + missing.stderr
