# The sparse autoencoder of a variant.


rule train_sae:
    input:
        embeddings=lambda w: [
            embeddings(variant(w.variant).encoder, d, s) for d, s in variant(w.variant).train_on
        ],
        held_out=lambda w: sae_of(w) and embedded(w, "test"),
    output:
        sae="results/{variant}/sae/sae.safetensors",
        history="results/{variant}/sae/history.parquet",
        quality="results/{variant}/sae/quality.json",
    log:
        "results/logs/train_sae/{variant}.log",
    benchmark:
        "results/benchmarks/train_sae/{variant}.tsv"
    conda:
        ENV
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=memory(lambda s: 4000 + 0.004 * s.train + 0.1 * s.latents),
        runtime=minutes(lambda s: 15 + 6e-9 * s.train * s.latents),
    params:
        **code("train_sae.py"),
        settings=lambda w: settings(
            **sae_of(w).model_dump(),
            device=CONFIG.compute.device,
            threads=THREADS,
            code=code_key("train_sae.py"),
        ),
    message:
        "Training the sparse autoencoder of {wildcards.variant}"
    script:
        "../scripts/train_sae.py"
