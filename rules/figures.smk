# Figures and tables of one variant: they read tables and draw.


rule fig3:
    input:
        unpack(lambda w: curves_of([w.variant])),
    output:
        **figure_files("fig3", "Faithfulness"),
    log:
        "results/logs/fig3/{variant}.log",
    benchmark:
        "results/benchmarks/fig3/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig3.py"),
        settings=lambda w: settings(**shown([w.variant])),
    message:
        "Drawing Fig. 3 of {wildcards.variant}"
    script:
        "../scripts/fig3.py"


rule fig4:
    input:
        unpack(lambda w: bases_of([w.variant])),
    output:
        **figure_files("fig4", "Interpretability"),
    log:
        "results/logs/fig4/{variant}.log",
    benchmark:
        "results/benchmarks/fig4/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig4.py"),
        settings=lambda w: settings(**shown([w.variant])),
    message:
        "Drawing Fig. 4 of {wildcards.variant}"
    script:
        "../scripts/fig4.py"


rule fig5:
    input:
        robustness=lambda w: robustness_of([w.variant]),
    output:
        **figure_files("fig5", "Robustness"),
    log:
        "results/logs/fig5/{variant}.log",
    benchmark:
        "results/benchmarks/fig5/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig5.py"),
        settings=lambda w: benchmarked([w.variant]),
    message:
        "Drawing Fig. 5 of {wildcards.variant}"
    script:
        "../scripts/fig5.py"


rule fig7:
    input:
        unpack(lambda w: curves_of([w.variant])),
    output:
        **figure_files("fig7", "Faithfulness"),
    log:
        "results/logs/fig7/{variant}.log",
    benchmark:
        "results/benchmarks/fig7/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig7.py"),
        settings=lambda w: settings(**shown([w.variant])),
    message:
        "Drawing Fig. 7 of {wildcards.variant}"
    script:
        "../scripts/fig7.py"


rule fig8:
    input:
        unpack(lambda w: curves_of([w.variant])),
    output:
        **figure_files("fig8", "Faithfulness"),
    log:
        "results/logs/fig8/{variant}.log",
    benchmark:
        "results/benchmarks/fig8/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig8.py"),
        settings=lambda w: settings(**shown([w.variant])),
    message:
        "Drawing Fig. 8 of {wildcards.variant}"
    script:
        "../scripts/fig8.py"


rule fig9:
    input:
        unpack(lambda w: tested_components([w.variant])),
    output:
        **figure_files("fig9", "Interpretability"),
    log:
        "results/logs/fig9/{variant}.log",
    benchmark:
        "results/benchmarks/fig9/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig9.py"),
        settings=lambda w: settings(**shown([w.variant])),
    message:
        "Drawing Fig. 9 of {wildcards.variant}"
    script:
        "../scripts/fig9.py"


rule fig10:
    input:
        unpack(concepts_of),
    output:
        **figure_files("fig10", "Interpretability"),
    log:
        "results/logs/fig10/{variant}.log",
    benchmark:
        "results/benchmarks/fig10/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig10.py"),
        settings=lambda w: concept_gallery(w),
    message:
        "Drawing Fig. 10 of {wildcards.variant}"
    script:
        "../scripts/fig10.py"


rule fig11:
    input:
        unpack(concepts_of),
    output:
        **figure_files("fig11", "Interpretability"),
    log:
        "results/logs/fig11/{variant}.log",
    benchmark:
        "results/benchmarks/fig11/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig11.py"),
        settings=lambda w: concept_gallery(w),
    message:
        "Drawing Fig. 11 of {wildcards.variant}"
    script:
        "../scripts/fig11.py"


rule fig12:
    input:
        unpack(gallery_cases),
    output:
        **figure_files("fig12", "Robustness"),
    log:
        "results/logs/fig12/{variant}.log",
    benchmark:
        "results/benchmarks/fig12/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig12.py"),
        settings=lambda w: case_gallery(w),
    message:
        "Drawing Fig. 12 of {wildcards.variant}"
    script:
        "../scripts/fig12.py"


rule fig13:
    input:
        unpack(gallery_cases),
    output:
        **figure_files("fig13", "Robustness"),
    log:
        "results/logs/fig13/{variant}.log",
    benchmark:
        "results/benchmarks/fig13/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig13.py"),
        settings=lambda w: case_gallery(w),
    message:
        "Drawing Fig. 13 of {wildcards.variant}"
    script:
        "../scripts/fig13.py"


rule fig14:
    input:
        robustness=lambda w: robustness_of([w.variant]),
    output:
        **figure_files("fig14", "Robustness"),
    log:
        "results/logs/fig14/{variant}.log",
    benchmark:
        "results/benchmarks/fig14/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig14.py"),
        settings=lambda w: benchmarked([w.variant]),
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
        mem_mb=memory(1000),
        runtime=minutes(5),
    params:
        **code("table1.py"),
        settings=lambda w: benchmarked([w.variant]),
    message:
        "Writing Table 1 of {wildcards.variant}"
    script:
        "../scripts/table1.py"
