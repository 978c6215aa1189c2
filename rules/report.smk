# Figures and tables: they read tables and draw, for one variant or for several side by side.


def default_targets(name):
    """What the demo shows of a variant."""
    return [f"results/{name}/{file}" for file in ("fig5.pdf", "fig14.pdf", "table1.md")]


def demo_targets():
    """Everything of the embedded demo."""
    return (
        default_targets("demo")
        + default_targets("demo_early")
        + ["results/demo/truth.json", "results/datasets/planted/excluded.parquet"]
        + [f"results/demo/attributions/{split}.parquet" for split in ("subset", "test")]
        + [f"results/compare/demo/{figure}.pdf" for figure in ("fig5", "fig14")]
    )


@checked
def comparison(name):
    """The variants of a comparison, by its name; a rehearsal suffix holds for all of them."""
    base = base_name(name)
    known("comparisons", base, CONFIG.comparisons, where=f"results/compare/{name}")
    return [member + name[len(base) :] for member in CONFIG.comparisons[base]]


def robustness_of(names):
    return [f"results/{name}/robustness.parquet" for name in names]


def shown(names):
    """Which variants a figure shows, and which of them have encoders that were never trained."""
    encoders = [encoder(variant(name).encoder) for name in names]
    return settings(variants=names, random_weights=[e.weights == "random" for e in encoders])


rule fig5:
    input:
        robustness=lambda w: robustness_of([w.variant]),
    output:
        pdf="results/{variant}/fig5.pdf",
        png=report(
            "results/{variant}/fig5.png",
            caption="../workflow/report/fig5.rst",
            category="Robustness",
            labels={"variant": "{variant}", "figure": "Fig. 5"},
        ),
        csv="results/{variant}/fig5.csv",
        caption="results/{variant}/fig5.caption.md",
    log:
        "results/logs/fig5/{variant}.log",
    benchmark:
        "results/benchmarks/fig5/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        **code("fig5.py"),
        settings=lambda w: shown([w.variant]),
    message:
        "Drawing Fig. 5 of {wildcards.variant}"
    script:
        "../scripts/fig5.py"


rule fig14:
    input:
        robustness=lambda w: robustness_of([w.variant]),
    output:
        pdf="results/{variant}/fig14.pdf",
        png=report(
            "results/{variant}/fig14.png",
            caption="../workflow/report/fig14.rst",
            category="Robustness",
            labels={"variant": "{variant}", "figure": "Fig. 14"},
        ),
        csv="results/{variant}/fig14.csv",
        caption="results/{variant}/fig14.caption.md",
    log:
        "results/logs/fig14/{variant}.log",
    benchmark:
        "results/benchmarks/fig14/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        **code("fig14.py"),
        settings=lambda w: shown([w.variant]),
    message:
        "Drawing Fig. 14 of {wildcards.variant}"
    script:
        "../scripts/fig14.py"


rule table1:
    input:
        robustness=lambda w: robustness_of([w.variant]),
    output:
        csv=report(
            "results/{variant}/table1.csv",
            caption="../workflow/report/table1.rst",
            category="Robustness",
            labels={"variant": "{variant}", "figure": "Table 1"},
        ),
        md="results/{variant}/table1.md",
    log:
        "results/logs/table1/{variant}.log",
    benchmark:
        "results/benchmarks/table1/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        **code("table1.py"),
        settings=lambda w: shown([w.variant]),
    message:
        "Writing Table 1 of {wildcards.variant}"
    script:
        "../scripts/table1.py"


use rule fig5 as compare_fig5 with:
    input:
        robustness=lambda w: robustness_of(comparison(w.comparison)),
    output:
        pdf="results/compare/{comparison}/fig5.pdf",
        png=report(
            "results/compare/{comparison}/fig5.png",
            caption="../workflow/report/fig5.rst",
            category="Robustness",
            labels={"variant": "{comparison} (comparison)", "figure": "Fig. 5"},
        ),
        csv="results/compare/{comparison}/fig5.csv",
        caption="results/compare/{comparison}/fig5.caption.md",
    log:
        "results/logs/compare_fig5/{comparison}.log",
    benchmark:
        "results/benchmarks/compare_fig5/{comparison}.tsv"
    params:
        **code("fig5.py"),
        settings=lambda w: shown(comparison(w.comparison)),
    message:
        "Drawing Fig. 5 of the comparison {wildcards.comparison}"


use rule fig14 as compare_fig14 with:
    input:
        robustness=lambda w: robustness_of(comparison(w.comparison)),
    output:
        pdf="results/compare/{comparison}/fig14.pdf",
        png=report(
            "results/compare/{comparison}/fig14.png",
            caption="../workflow/report/fig14.rst",
            category="Robustness",
            labels={"variant": "{comparison} (comparison)", "figure": "Fig. 14"},
        ),
        csv="results/compare/{comparison}/fig14.csv",
        caption="results/compare/{comparison}/fig14.caption.md",
    log:
        "results/logs/compare_fig14/{comparison}.log",
    benchmark:
        "results/benchmarks/compare_fig14/{comparison}.tsv"
    params:
        **code("fig14.py"),
        settings=lambda w: shown(comparison(w.comparison)),
    message:
        "Drawing Fig. 14 of the comparison {wildcards.comparison}"
