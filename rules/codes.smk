# Sparse codes of every image, and the strongest images of every component.


rule encode:
    input:
        embeddings=lambda w: embedded(w, w.split),
        sae="results/{variant}/sae/sae.safetensors",
    output:
        part=directory("results/{variant}/codes/{split}/part-{part}-of-{parts}.zarr"),
    log:
        "results/logs/encode/{variant}.{split}.{part}-of-{parts}.log",
    benchmark:
        "results/benchmarks/encode/{variant}.{split}.{part}-of-{parts}.tsv"
    conda:
        ENV
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=memory(lambda s: 4000 + 0.1 * s.latents),
        runtime=minutes(lambda s: 10 + s.images / 2000),
    params:
        **code("encode.py"),
        settings=lambda w: settings(
            part_index=int(w.part),
            parts=int(w.parts),
            device=CONFIG.compute.device,
            threads=THREADS,
            code=code_key("encode.py"),
        ),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Encoding the split {wildcards.split} of {wildcards.variant}, part {wildcards.part}"
    script:
        "../scripts/encode.py"


rule gather_codes:
    input:
        parts=lambda w: expand(
            "results/{variant}/codes/{split}/{part}",
            **w,
            part=part_names(parts_of(variant(w.variant).dataset)),
        ),
    output:
        manifest="results/{variant}/codes/{split}/manifest.json",
    log:
        "results/logs/gather_codes/{variant}.{split}.log",
    benchmark:
        "results/benchmarks/gather_codes/{variant}.{split}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        **code("gather_codes.py"),
        settings=settings(),
    message:
        "Gathering the codes of the split {wildcards.split} of {wildcards.variant}"
    script:
        "../scripts/gather_codes.py"


rule top_samples:
    input:
        codes="results/{variant}/codes/train/manifest.json",
    output:
        top_samples="results/{variant}/top_samples.parquet",
    log:
        "results/logs/top_samples/{variant}.log",
    benchmark:
        "results/benchmarks/top_samples/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(lambda s: 3000 + 0.1 * s.latents),
        runtime=minutes(lambda s: 10 + s.train / 30000),
    params:
        **code("top_samples.py"),
        settings=settings(count=CONFIG.naming.stored),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Collecting the strongest images of every component of {wildcards.variant}"
    script:
        "../scripts/top_samples.py"
