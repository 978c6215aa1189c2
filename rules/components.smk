# Components as a table: statistics, clarity, a name.


rule component_table:
    input:
        unpack(labels_source),
        codes="results/{variant}/codes/train/manifest.json",
        top_samples="results/{variant}/top_samples.parquet",
    output:
        components="results/{variant}/components.parquet",
    log:
        "results/logs/component_table/{variant}.log",
    benchmark:
        "results/benchmarks/component_table/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(lambda s: 4000 + 0.1 * s.latents),
        runtime=minutes(lambda s: 10 + s.train / 30000),
    params:
        **code("component_table.py"),
        settings=settings(
            top_n=CONFIG.naming.top_n,
            min_active=CONFIG.naming.min_active,
        ),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Naming the components of {wildcards.variant}"
    script:
        "../scripts/component_table.py"
