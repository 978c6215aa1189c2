# The sparse autoencoder of a variant.


def sae_of(w):
    """The variant's SAE settings; a clear error for a variant that is only benchmarked."""
    chosen = variant(w.variant).sae
    if chosen is None:
        raise WorkflowError(
            f"results/{w.variant}: this needs an SAE, and variants.{base_name(w.variant)} has none\n"
            "  next: give the variant a section 'sae', or ask for its fig5, fig14 or table1"
        )
    return chosen


rule train_sae:
    input:
        embeddings=lambda w: [
            embeddings(variant(w.variant).encoder, d, s) for d, s in variant(w.variant).train_on
        ],
        held_out=lambda w: of_dataset(w, "test/manifest.json"),
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
        mem_mb=12000,
        runtime=240,
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
