"""What a user sees after a mistake: one clear error, before any job runs."""

import pytest

from .project import Project

PHOTOS = "results/vit_b16/fig5.pdf"
WEIGHTS = "results/encoders/{}/weights.json"
MISTAKES = [
    ("results/tiny/fig5.pdf", "failures={minz: 4}", "did you mean 'min_z'"),
    ("results/tiny/fig5.pdf", "failures={min_z: -4}", "greater than or equal to 0"),
    ("results/tiny/fig5.pdf", "variants={tiny: {sae: {k: 900}}}", "k must not be larger than m"),
    ("results/datasets/planted/cases.tsv", None, "external_lists"),
    ("results/tinny/fig5.pdf", None, "did you mean 'tiny'"),
    ("results/tiny/fig99.pdf", None, "did you mean 'fig9.pdf'"),
    ("results/compare/tinny/fig5.pdf", None, "did you mean 'tiny'"),
    ("results/vit_b32_laion2b/components.parquet", "datasets={imagenet: {root: src}}", "only benchmarked"),
    (PHOTOS, None, "--config 'datasets={imagenet: {root: PATH}}'"),
    (PHOTOS, "datasets={imagenet: {root: /nowhere}}", "/nowhere is not a folder"),
    (PHOTOS, "datasets={imagenet: {root: src, names: config/README.md}}", "config/README.md, line 1"),
    ("results/tiny.n0/fig5.pdf", None, "for example tiny.n20"),
    (
        WEIGHTS.format("vit_b16"),
        "encoders={vit_b16: {pretrained: datacomp_xl_s13b_b90}}",
        "datacomp_xl_s13b_b90k",
    ),
    (WEIGHTS.format("vit_b16"), "encoders={vit_b16: {architecture: ViT-B-61}}", "ViT-B-16"),
    (WEIGHTS.format("vit_h14"), "encoders={vit_h14: {architecture: ViT-H-14}}", "ViT-H-14-quickgelu"),
]


@pytest.mark.parametrize(("target", "config", "hint"), MISTAKES, ids=[f"{m[1] or m[0]}" for m in MISTAKES])
def test_a_mistake_is_told_before_any_job(fresh: Project, target: str, config: str | None, hint: str) -> None:
    done = fresh.run(target, *(["--config", config] if config else []))
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert hint in output
    assert "Traceback" not in output
    assert not (fresh.folder / "results").exists()


def test_a_mistake_in_a_review_is_told_before_any_job(fresh: Project) -> None:
    reviews = fresh.folder / "config/reviews"
    reviews.mkdir(exist_ok=True)
    (reviews / "tiny.tsv").write_text("failure_id\tkind\tnote\n3-17-0123abcd\tpolysemic\t\n")
    done = fresh.run("results/tiny/fig5.pdf")
    assert done.returncode != 0
    assert "config/reviews/tiny.tsv, line 2, column kind" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (fresh.folder / "results").exists()


def test_broken_yaml_names_the_line(fresh: Project) -> None:
    path = fresh.folder / "config/config.yaml"
    path.write_text(path.read_text().replace("compute:", "compute: ["))
    done = fresh.run("results/tiny/fig5.pdf")
    assert done.returncode != 0
    assert "config/config.yaml, line" in done.stdout + done.stderr


def test_a_key_that_a_file_gives_twice_is_told(fresh: Project) -> None:
    (fresh.folder / "config/tiny.yaml").write_text("variants: {}\nvariants: {}\n")
    done = fresh.run("results/demo/fig5.pdf", "-n")
    assert done.returncode != 0
    assert "config/tiny.yaml, line 2, column 1" in done.stdout + done.stderr
