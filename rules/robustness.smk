# How well text prompts and linear probes tell a class from its distractors.


rule fit_probe:
    input:
        index="results/datasets/{dataset}/index.parquet",
        embeddings="results/encoders/{encoder}/{dataset}/test/manifest.json",
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
        mem_mb=8000,
        runtime=120,
    params:
        **code("fit_probe.py"),
        settings=settings(**CONFIG.probe.model_dump(), threads=THREADS),
    message:
        "Fitting a linear probe on {wildcards.encoder} for {wildcards.dataset}"
    script:
        "../scripts/fit_probe.py"


def lists_of(v):
    """External lists of a variant that can be read: planted data sets, folders with a root, tables.

    Tables name images of the whole data set, so a rehearsal leaves them out.
    """
    planted = [v.dataset] if dataset(v.dataset).planted else []
    folders = [e for e in v.external if CONFIG.external_lists[e].root]
    tables = [e for e in v.external if CONFIG.external_lists[e].failures and not rehearsed(v.name)]
    return planted, folders, tables


def external_cases(w):
    """Cases found elsewhere: their lists, their samples, and embeddings of images outside the data set."""
    v = variant(w.variant)
    planted, folders, tables = lists_of(v)
    lists = [CONFIG.external_lists[e] for e in tables]
    return {
        "external_failures": [f"results/datasets/{d}/planted.tsv" for d in planted]
        + [f"results/datasets/{e}/cases.tsv" for e in folders]
        + [e.failures for e in lists],
        "external_samples": [f"results/datasets/{d}/planted_samples.parquet" for d in planted]
        + [f"results/datasets/{e}/cases_samples.parquet" for e in folders]
        + [e.samples for e in lists],
        "external_embeddings": [embeddings(v.encoder, e, "cases") for e in folders],
    }


rule list_external:
    input:
        index="results/datasets/{dataset}/index.parquet",
        classes=lambda w: classes(CONFIG.external_lists[w.dataset].dataset),
        home_index=lambda w: index(CONFIG.external_lists[w.dataset].dataset),
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
        mem_mb=2000,
        runtime=10,
    params:
        **code("list_external.py"),
        settings=lambda w: settings(
            dataset=w.dataset,
            source=CONFIG.external_lists[w.dataset].source,
            root=root_of(w.dataset),
            home_root=root_of(CONFIG.external_lists[w.dataset].dataset),
        ),
    message:
        "Reading the external cases {wildcards.dataset}"
    script:
        "../scripts/list_external.py"


rule benchmark:
    input:
        unpack(external_cases),
        index=lambda w: index(variant(w.variant).dataset),
        embeddings=lambda w: of_dataset(w, "train/manifest.json"),
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
        mem_mb=8000,
        runtime=60,
    params:
        **code("benchmark.py"),
        settings=lambda w: settings(
            dataset=variant(w.variant).dataset,
            every_nth=variant(w.variant).failures.every_nth,
            discovered_on=variant(w.variant).failures_from,
            external_datasets=lists_of(variant(w.variant))[1],
            threads=THREADS,
        ),
    message:
        "Scoring {wildcards.variant} on the cases: text prompts against a linear probe"
    script:
        "../scripts/benchmark.py"
