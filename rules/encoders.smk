# Weights, the head, and every embedding of images and prompts. Nothing after these rules runs a CLIP.


rule resolve_weights:
    input:
        unpack(weights_source),
    output:
        weights="results/encoders/{encoder}/weights.json",
    log:
        "results/logs/resolve_weights/{encoder}.log",
    benchmark:
        "results/benchmarks/resolve_weights/{encoder}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(8000),
        runtime=minutes(60),
    params:
        **code("resolve_weights.py"),
        settings=weights_settings,
    message:
        "Finding the weights of {wildcards.encoder}"
    script:
        "../scripts/resolve_weights.py"


rule export_head:
    input:
        weights="results/encoders/{encoder}/weights.json",
    output:
        head="results/encoders/{encoder}/head.safetensors",
    log:
        "results/logs/export_head/{encoder}.log",
    benchmark:
        "results/benchmarks/export_head/{encoder}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(8000),
        runtime=minutes(10),
    params:
        **code("export_head.py"),
        settings=settings(),
    message:
        "Exporting the head of {wildcards.encoder}"
    script:
        "../scripts/export_head.py"


rule embed_images:
    input:
        index="results/datasets/{dataset}/index.parquet",
        weights="results/encoders/{encoder}/weights.json",
    output:
        part=directory("results/encoders/{encoder}/{dataset}/{split}/part-{part}-of-{parts}.zarr"),
    log:
        "results/logs/embed_images/{encoder}.{dataset}.{split}.{part}-of-{parts}.log",
    benchmark:
        "results/benchmarks/embed_images/{encoder}.{dataset}.{split}.{part}-of-{parts}.tsv"
    wildcard_constraints:
        split=CHANGED_SPLIT,
    conda:
        ENV
    threads: THREADS
    resources:
        gpu=GPU,
        cpus_per_task=THREADS + CONFIG.embedding.workers,
        mem_mb=memory(lambda s: 10000 + 0.001 * s.train),
        runtime=minutes(lambda s: 15 + s.images / (1000 if GPU else 150)),
    params:
        **code("embed_images.py"),
        settings=lambda w: settings(
            **split_and_transform(w.split),
            dataset_root=root_of(w.dataset),
            part_index=int(w.part),
            parts=int(w.parts),
            stores="embedding" if encoder(w.encoder).role == "labeller" else "x",
            apply_exif=CONFIG.images.apply_exif,
            max_pixels=CONFIG.images.max_pixels,
            **embedding_settings(),
            device=CONFIG.compute.device,
            threads=THREADS,
            code=code_key("embed_images.py"),
        ),
        untracked=untracked(workers=CONFIG.embedding.workers),
    message:
        "Embedding {wildcards.dataset}/{wildcards.split} with {wildcards.encoder}, part {wildcards.part}"
    script:
        "../scripts/embed_images.py"


rule gather_embeddings:
    input:
        parts=lambda w: expand(
            "results/encoders/{encoder}/{dataset}/{split}/{part}",
            **w,
            part=part_names(parts_of(w.dataset)),
        ),
        index="results/datasets/{dataset}/index.parquet",
    output:
        manifest="results/encoders/{encoder}/{dataset}/{split}/manifest.json",
    log:
        "results/logs/gather_embeddings/{encoder}.{dataset}.{split}.log",
    benchmark:
        "results/benchmarks/gather_embeddings/{encoder}.{dataset}.{split}.tsv"
    wildcard_constraints:
        split=CHANGED_SPLIT,
    conda:
        ENV
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        **code("gather_embeddings.py"),
        untracked=untracked(max_invalid=CONFIG.images.max_invalid),
    message:
        "Gathering the embeddings of {wildcards.dataset}/{wildcards.split} by {wildcards.encoder}"
    script:
        "../scripts/gather_embeddings.py"


# Names and templates are separate jobs, so that other templates do not rerun what only needs names.
rule embed_text:
    input:
        classes="results/datasets/{dataset}/classes.parquet",
        weights="results/encoders/{encoder}/weights.json",
    output:
        texts=[
            "results/encoders/{encoder}/{dataset}/text/short.parquet",
            "results/encoders/{encoder}/{dataset}/text/extended.parquet",
            "results/encoders/{encoder}/{dataset}/text/words.parquet",
        ],
    log:
        "results/logs/embed_text/{encoder}.{dataset}.log",
    benchmark:
        "results/benchmarks/embed_text/{encoder}.{dataset}.tsv"
    conda:
        ENV
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=memory(8000),
        runtime=minutes(30),
    params:
        **code("embed_text.py"),
        settings=settings(**TEXT, prompt_sets=["short", "extended", "words"]),
    message:
        "Embedding the class names of {wildcards.dataset} with {wildcards.encoder}"
    script:
        "../scripts/embed_text.py"


use rule embed_text as embed_templates with:
    output:
        texts=[
            "results/encoders/{encoder}/{dataset}/text/templated.parquet",
            "results/encoders/{encoder}/{dataset}/text/both.parquet",
        ],
    log:
        "results/logs/embed_templates/{encoder}.{dataset}.log",
    benchmark:
        "results/benchmarks/embed_templates/{encoder}.{dataset}.tsv"
    params:
        **code("embed_text.py"),
        settings=settings(**TEXT, prompt_sets=["templated", "both"], templates=CONFIG.templates),
    message:
        "Embedding the templates of {wildcards.dataset} with {wildcards.encoder}"


use rule embed_text as embed_vocabulary with:
    input:
        unpack(vocabulary_source),
        classes="results/datasets/{dataset}/classes.parquet",
        weights="results/encoders/{encoder}/weights.json",
    output:
        texts=["results/encoders/{encoder}/{dataset}/text/vocabulary.parquet"],
    log:
        "results/logs/embed_vocabulary/{encoder}.{dataset}.log",
    benchmark:
        "results/benchmarks/embed_vocabulary/{encoder}.{dataset}.tsv"
    params:
        **code("embed_text.py"),
        settings=vocabulary_settings,
    message:
        "Embedding the vocabulary of {wildcards.dataset} with {wildcards.encoder}"


use rule embed_text as embed_asked with:
    input:
        unpack(asked_source),
        classes="results/datasets/{dataset}/classes.parquet",
        weights="results/encoders/{encoder}/weights.json",
    output:
        texts=["results/encoders/{encoder}/{dataset}/text/asked.parquet"],
    log:
        "results/logs/embed_asked/{encoder}.{dataset}.log",
    benchmark:
        "results/benchmarks/embed_asked/{encoder}.{dataset}.tsv"
    params:
        **code("embed_text.py"),
        settings=asked_settings,
    message:
        "Embedding the names that hidden concepts are held against with {wildcards.encoder}"


use rule embed_text as embed_definitions with:
    output:
        texts=["results/encoders/{encoder}/{dataset}/text/definition.parquet"],
    log:
        "results/logs/embed_definitions/{encoder}.{dataset}.log",
    benchmark:
        "results/benchmarks/embed_definitions/{encoder}.{dataset}.tsv"
    params:
        **code("embed_text.py"),
        settings=settings(**TEXT, prompt_sets=["definition"]),
    message:
        "Embedding what the classes of {wildcards.dataset} show with {wildcards.encoder}"
