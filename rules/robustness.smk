# How well text prompts and linear probes tell a class from its distractors.


rule fit_probe:
    input:
        index="results/datasets/{dataset}/index.parquet",
        embeddings=lambda w: embeddings(w.encoder, w.dataset, "test"),
        head="results/encoders/{encoder}/head.safetensors",
    output:
        probe="results/encoders/{encoder}/{dataset}/probe.safetensors",
    log:
        "results/logs/fit_probe/{encoder}.{dataset}.log",
    benchmark:
        "results/benchmarks/fit_probe/{encoder}.{dataset}.tsv"
    conda:
        ENV
    threads: THREADS
    resources:
        mem_mb=memory(lambda s: 2000 + 0.02 * s.test + 3e-5 * s.test * s.classes),
        runtime=minutes(lambda s: 10 + s.test * s.classes / 5e5),
    params:
        **code("fit_probe.py"),
        settings=settings(**CONFIG.probe.model_dump(), threads=THREADS),
    message:
        "Fitting a linear probe on {wildcards.encoder} for {wildcards.dataset}"
    script:
        "../scripts/fit_probe.py"


rule list_external:
    input:
        index="results/datasets/{dataset}/index.parquet",
        classes=lambda w: classes(external(w.dataset).dataset),
        home_index=lambda w: index(external(w.dataset).dataset),
    output:
        failures="results/datasets/{dataset}/cases.tsv",
        failure_samples="results/datasets/{dataset}/cases_samples.parquet",
    log:
        "results/logs/list_external/{dataset}.log",
    benchmark:
        "results/benchmarks/list_external/{dataset}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("list_external.py"),
        settings=lambda w: settings(
            dataset=w.dataset,
            source=external(w.dataset).source,
            kind=external(w.dataset).kind,
            root=root_of(w.dataset),
            home_root=root_of(external(w.dataset).dataset),
        ),
    message:
        "Reading the external cases {wildcards.dataset}"
    script:
        "../scripts/list_external.py"


rule benchmark:
    input:
        unpack(external_cases),
        index=lambda w: index(variant(w.variant).dataset),
        embeddings=lambda w: embedded(w, "train"),
        head=lambda w: of_encoder(w, "head.safetensors"),
        short=lambda w: of_dataset(w, "text/short.parquet"),
        templated=lambda w: of_dataset(w, "text/templated.parquet"),
        extended=lambda w: of_dataset(w, "text/extended.parquet"),
        both=lambda w: of_dataset(w, "text/both.parquet"),
        probe=lambda w: of_dataset(w, "probe.safetensors"),
        failures=lambda w: f"results/{variant(w.variant).failures_from}/failures.tsv",
        failure_samples=lambda w: f"results/{variant(w.variant).failures_from}/failure_samples.parquet",
    output:
        robustness="results/{variant}/robustness.parquet",
    log:
        "results/logs/benchmark/{variant}.log",
    benchmark:
        "results/benchmarks/benchmark/{variant}.tsv"
    conda:
        ENV
    threads: THREADS
    resources:
        mem_mb=memory(lambda s: 3000 + 0.003 * s.train),
        runtime=minutes(lambda s: 15 + s.train / 30000),
    params:
        **code("benchmark.py"),
        settings=lambda w: settings(
            dataset=variant(w.variant).dataset,
            every_nth=variant(variant(w.variant).failures_from).failures.every_nth,
            discovered_on=variant(w.variant).failures_from,
            external_datasets=lists_of(variant(w.variant))[1],
            external_sources=sources_of(variant(w.variant)),
            threads=THREADS,
        ),
    message:
        "Scoring {wildcards.variant} on the cases: text prompts against a linear probe"
    script:
        "../scripts/benchmark.py"
