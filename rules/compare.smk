# The same figures for several variants side by side; those without an SAE are left out where one is needed.


use rule fig4 as compare_fig4 with:
    input:
        unpack(lambda w: bases_of(with_sae(w))),
    output:
        **figure_files("fig4", "Interpretability", "compare/{comparison}"),
    log:
        "results/logs/compare_fig4/{comparison}.log",
    benchmark:
        "results/benchmarks/compare_fig4/{comparison}.tsv"
    params:
        **code("fig4.py"),
        settings=lambda w: compared(w),
    message:
        "Drawing Fig. 4 of the comparison {wildcards.comparison}"


use rule fig5 as compare_fig5 with:
    input:
        robustness=lambda w: robustness_of(comparison(w.comparison)),
    output:
        **figure_files("fig5", "Robustness", "compare/{comparison}"),
    log:
        "results/logs/compare_fig5/{comparison}.log",
    benchmark:
        "results/benchmarks/compare_fig5/{comparison}.tsv"
    params:
        **code("fig5.py"),
        settings=lambda w: benchmarked(comparison(w.comparison)),
    message:
        "Drawing Fig. 5 of the comparison {wildcards.comparison}"


use rule fig7 as compare_fig7 with:
    input:
        unpack(lambda w: curves_of(with_sae(w))),
    output:
        **figure_files("fig7", "Faithfulness", "compare/{comparison}"),
    log:
        "results/logs/compare_fig7/{comparison}.log",
    benchmark:
        "results/benchmarks/compare_fig7/{comparison}.tsv"
    params:
        **code("fig7.py"),
        settings=lambda w: compared(w),
    message:
        "Drawing Fig. 7 of the comparison {wildcards.comparison}"


use rule fig8 as compare_fig8 with:
    input:
        unpack(lambda w: curves_of(with_sae(w))),
    output:
        **figure_files("fig8", "Faithfulness", "compare/{comparison}"),
    log:
        "results/logs/compare_fig8/{comparison}.log",
    benchmark:
        "results/benchmarks/compare_fig8/{comparison}.tsv"
    params:
        **code("fig8.py"),
        settings=lambda w: compared(w),
    message:
        "Drawing Fig. 8 of the comparison {wildcards.comparison}"


use rule fig9 as compare_fig9 with:
    input:
        unpack(lambda w: tested_components(with_sae(w))),
    output:
        **figure_files("fig9", "Interpretability", "compare/{comparison}"),
    log:
        "results/logs/compare_fig9/{comparison}.log",
    benchmark:
        "results/benchmarks/compare_fig9/{comparison}.tsv"
    params:
        **code("fig9.py"),
        settings=lambda w: compared(w),
    message:
        "Drawing Fig. 9 of the comparison {wildcards.comparison}"


use rule fig14 as compare_fig14 with:
    input:
        robustness=lambda w: robustness_of(comparison(w.comparison)),
    output:
        **figure_files("fig14", "Robustness", "compare/{comparison}"),
    log:
        "results/logs/compare_fig14/{comparison}.log",
    benchmark:
        "results/benchmarks/compare_fig14/{comparison}.tsv"
    params:
        **code("fig14.py"),
        settings=lambda w: benchmarked(comparison(w.comparison)),
    message:
        "Drawing Fig. 14 of the comparison {wildcards.comparison}"
