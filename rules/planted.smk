# The embedded data: a drawn world with planted failures, and the small CLIPs that learn it.


rule render_planted:
    output:
        images=directory("results/datasets/{dataset}/images"),
        truth="results/datasets/{dataset}/truth.parquet",
        names="results/datasets/{dataset}/names.csv",
        plants="results/datasets/{dataset}/plants.json",
        vocabulary="results/datasets/{dataset}/vocabulary.txt",
    log:
        "results/logs/render_planted/{dataset}.log",
    benchmark:
        "results/benchmarks/render_planted/{dataset}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("render_planted.py"),
        settings=lambda w: settings(**planted_of(w.dataset).model_dump(exclude_none=True)),
    message:
        "Drawing the planted data set {wildcards.dataset}"
    script:
        "../scripts/render_planted.py"


# One thread each: the matrices are small, and two trainings side by side use two cores better.
rule train_clip:
    output:
        checkpoint="results/encoders/{encoder}/checkpoint.safetensors",
        halfway="results/encoders/{encoder}/halfway.safetensors",
        history="results/encoders/{encoder}/training.parquet",
    log:
        "results/logs/train_clip/{encoder}.log",
    benchmark:
        "results/benchmarks/train_clip/{encoder}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        **code("train_clip.py"),
        settings=lambda w: settings(
            **training_of(w.encoder).model_dump(exclude={"dataset"}),
            **captioned(training_of(w.encoder).dataset),
            threads=1,
            code=code_key("train_clip.py"),
        ),
    message:
        "Training the small CLIP {wildcards.encoder} on captioned drawings"
    script:
        "../scripts/train_clip.py"


rule planted_cases:
    input:
        truth=lambda w: drawn(w.dataset, "truth.parquet"),
        plants=lambda w: drawn(w.dataset, "plants.json"),
        index="results/datasets/{dataset}/index.parquet",
        classes="results/datasets/{dataset}/classes.parquet",
    output:
        failures="results/datasets/{dataset}/planted.tsv",
        failure_samples="results/datasets/{dataset}/planted_samples.parquet",
    log:
        "results/logs/planted_cases/{dataset}.log",
    benchmark:
        "results/benchmarks/planted_cases/{dataset}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(1000),
        runtime=minutes(5),
    params:
        **code("planted_cases.py"),
        settings=lambda w: settings(dataset=w.dataset),
    message:
        "Listing what was planted in {wildcards.dataset}"
    script:
        "../scripts/planted_cases.py"


rule score_truth:
    input:
        failures="results/{variant}/failures.tsv",
        failure_samples="results/{variant}/failure_samples.parquet",
        truth_table=lambda w: drawn(variant(w.variant).dataset, "truth.parquet"),
        plants=lambda w: drawn(variant(w.variant).dataset, "plants.json"),
        index=lambda w: index(variant(w.variant).dataset),
        classes=lambda w: classes(variant(w.variant).dataset),
        embeddings=lambda w: embedded(w, "train"),
        head=lambda w: of_encoder(w, "head.safetensors"),
        text=lambda w: of_dataset(w, f"text/{variant(w.variant).failures.prompt_set}.parquet"),
        expectations="results/{variant}/expectations.parquet",
        outliers="results/{variant}/outliers.parquet",
        outlier_samples="results/{variant}/outlier_samples.parquet",
    output:
        truth="results/{variant}/truth.json",
    log:
        "results/logs/score_truth/{variant}.log",
    benchmark:
        "results/benchmarks/score_truth/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(1000),
        runtime=minutes(5),
    params:
        **code("score_truth.py"),
        settings=lambda w: settings(
            every_nth=variant(w.variant).failures.every_nth,
            confidence_std=variant(w.variant).failures.confidence_std,
            min_samples=variant(w.variant).failures.min_samples,
            overlap=variant(w.variant).failures.overlap,
        ),
    message:
        "Comparing the mined cases of {wildcards.variant} with what was planted"
    script:
        "../scripts/score_truth.py"
