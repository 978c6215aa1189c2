# Figures and tables: they read tables and draw, for one variant or for several side by side.


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
