# From a folder of images to an index.


rule index_images:
    input:
        unpack(index_source),
    output:
        index="results/datasets/{dataset}/index.parquet",
        classes="results/datasets/{dataset}/classes.parquet",
    log:
        "results/logs/index_images/{dataset}.log",
    benchmark:
        "results/benchmarks/index_images/{dataset}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(lambda s: 2000 + 0.002 * s.train),
        runtime=minutes(lambda s: 10 + s.train / 25000),
    params:
        **code("index_images.py"),
        settings=index_settings,
    message:
        "Listing the images of {wildcards.dataset}"
    script:
        "../scripts/index_images.py"


rule gather_excluded:
    input:
        index="results/datasets/{dataset}/index.parquet",
        manifests=lambda w: [embeddings(first_encoder(w.dataset), w.dataset, s) for s in ("train", "test")],
    output:
        excluded="results/datasets/{dataset}/excluded.parquet",
    log:
        "results/logs/gather_excluded/{dataset}.log",
    benchmark:
        "results/benchmarks/gather_excluded/{dataset}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(1000),
        runtime=minutes(5),
    params:
        **code("gather_excluded.py"),
        settings=settings(splits=["train", "test"]),
    message:
        "Listing the unreadable images of {wildcards.dataset}"
    script:
        "../scripts/gather_excluded.py"
