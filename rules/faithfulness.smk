# Whether deleting and inserting the latents that an attribution names moves the output (Figs. 3, 7, 8).


rule faithfulness:
    input:
        unpack(lambda w: explained(w, "test")),
    output:
        faithfulness="results/{variant}/faithfulness.parquet",
        summary="results/{variant}/faithfulness.json",
    log:
        "results/logs/faithfulness/{variant}.log",
    benchmark:
        "results/benchmarks/faithfulness/{variant}.tsv"
    conda:
        ENV
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=memory(lambda s: 4000 + 0.1 * s.latents),
        runtime=minutes(60),
    params:
        **code("faithfulness.py"),
        settings=settings(
            **CONFIG.faithfulness.model_dump(),
            split="test",
            device=CONFIG.compute.device,
            threads=THREADS,
        ),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Deleting and inserting latents of {wildcards.variant}"
    script:
        "../scripts/faithfulness.py"
