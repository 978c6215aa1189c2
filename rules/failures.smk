# Reliance that was not expected (Eq. 8): expectations, outliers, cases.


rule expectations:
    input:
        unpack(lambda w: explained(w, "train")),
    output:
        expectations="results/{variant}/expectations.parquet",
    log:
        "results/logs/expectations/{variant}.log",
    benchmark:
        "results/benchmarks/expectations/{variant}.tsv"
    conda:
        ENV
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=memory(lambda s: 4000 + 8e-5 * s.classes * s.latents),
        runtime=minutes(lambda s: 10 + s.train / 25000),
    params:
        **code("expectations.py"),
        settings=lambda w: settings(
            every_nth=variant(w.variant).failures.every_nth,
            relevance=variant(w.variant).failures.relevance,
            device=CONFIG.compute.device,
            threads=THREADS,
        ),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Estimating what each class of {wildcards.variant} is expected to rely on"
    script:
        "../scripts/expectations.py"


rule mine_outliers:
    input:
        unpack(lambda w: explained(w, "train")),
        expectations="results/{variant}/expectations.parquet",
    output:
        outliers="results/{variant}/outliers.parquet",
        outlier_samples="results/{variant}/outlier_samples.parquet",
    log:
        "results/logs/mine_outliers/{variant}.log",
    benchmark:
        "results/benchmarks/mine_outliers/{variant}.tsv"
    conda:
        ENV
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=memory(lambda s: 4000 + 1e-4 * s.classes * s.latents),
        runtime=minutes(lambda s: 20 + s.train * s.classes / 1e7),
    params:
        **code("mine_outliers.py"),
        settings=lambda w: settings(
            **variant(w.variant).failures.model_dump(
                include={
                    "every_nth",
                    "relevance",
                    "min_z",
                    "min_samples",
                    "confidence_std",
                    "min_relevance",
                    "max_q",
                }
            ),
            device=CONFIG.compute.device,
            threads=THREADS,
        ),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Looking for reliance nobody expected in {wildcards.variant}"
    script:
        "../scripts/mine_outliers.py"


rule list_cases:
    input:
        unpack(labels_source),
        unpack(review_of),
        outliers="results/{variant}/outliers.parquet",
        outlier_samples="results/{variant}/outlier_samples.parquet",
        index=lambda w: index(variant(w.variant).dataset),
        classes=lambda w: classes(variant(w.variant).dataset),
        top_samples="results/{variant}/top_samples.parquet",
        components="results/{variant}/components.parquet",
        embeddings=lambda w: embedded(w, "train"),
        head=lambda w: of_encoder(w, "head.safetensors"),
        short=lambda w: of_dataset(w, "text/short.parquet"),
        extended=lambda w: of_dataset(w, "text/extended.parquet"),
        words=lambda w: of_dataset(w, "text/words.parquet"),
    output:
        failures="results/{variant}/failures.tsv",
        failure_samples="results/{variant}/failure_samples.parquet",
    log:
        "results/logs/list_cases/{variant}.log",
    benchmark:
        "results/benchmarks/list_cases/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(lambda s: 4000 + 0.003 * s.train),
        runtime=minutes(30),
    params:
        **code("list_cases.py"),
        settings=lambda w: settings(
            dataset=variant(w.variant).dataset,
            every_nth=variant(w.variant).failures.every_nth,
            max_cases_per_class=variant(w.variant).failures.max_cases_per_class,
            overlap=variant(w.variant).failures.overlap,
            top_n=CONFIG.naming.top_n,
        ),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Listing the failure cases of {wildcards.variant}"
    script:
        "../scripts/list_cases.py"
