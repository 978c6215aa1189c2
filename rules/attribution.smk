# How much each active component drives the output for an image's own class (Eqs. 3, 5 and 6).


rule attribute_split:
    input:
        unpack(lambda w: explained(w, attributed_split(w))),
    output:
        attributions="results/{variant}/attributions/{attributed}.parquet",
    log:
        "results/logs/attribute_split/{variant}.{attributed}.log",
    benchmark:
        "results/benchmarks/attribute_split/{variant}.{attributed}.tsv"
    wildcard_constraints:
        attributed="subset|test",
    conda:
        ENV
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=memory(lambda s: 4000 + 0.1 * s.latents),
        runtime=minutes(lambda s: 10 + s.images / 25000),
    params:
        **code("attribute_split.py"),
        settings=lambda w: settings(
            split=attributed_split(w),
            every_nth=(variant(w.variant).failures.every_nth if w.attributed == "subset" else 1),
            device=CONFIG.compute.device,
            threads=THREADS,
        ),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Attributing the outputs of {wildcards.variant} on {wildcards.attributed}"
    script:
        "../scripts/attribute_split.py"
