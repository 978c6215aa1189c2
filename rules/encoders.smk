# Weights, the head, and every embedding of images and prompts. Nothing after these rules runs a CLIP.
from reliance.encoders.registry import check_encoder
from reliance.settings import BUILT_IN


def weights_source(w):
    """The checkpoint that a rule trains; other sources are settings, checked before any job runs."""
    e = encoder(w.encoder)
    if e.training:
        return {"checkpoint": f"results/encoders/{w.encoder}/checkpoint.safetensors"}
    if e.halfway_of:
        return {"checkpoint": f"results/encoders/{e.halfway_of}/halfway.safetensors"}
    checked(functools.partial(check_encoder, encoder=w.encoder, role=e.role))(
        e.architecture,
        e.pretrained,
        e.file,
        e.weights == "random",
        e.preprocess and e.preprocess.model_dump(),
    )
    return {}


def weights_settings(w):
    e = encoder(w.encoder)
    return settings(
        encoder=w.encoder,
        architecture=e.architecture,
        pretrained=e.pretrained,
        file=e.file,
        random=e.weights == "random",
        seed=0,
        preprocess=e.preprocess and e.preprocess.model_dump(),
        role=e.role,
    )


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
        mem_mb=8000,
        runtime=60,
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
        mem_mb=8000,
        runtime=10,
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
    conda:
        ENV
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=12000,
        runtime=240,
    params:
        **code("embed_images.py"),
        settings=lambda w: settings(
            split=w.split,
            dataset_root=root_of(w.dataset),
            part_index=int(w.part),
            parts=int(w.parts),
            stores="embedding" if encoder(w.encoder).role == "labeller" else "x",
            apply_exif=CONFIG.images.apply_exif,
            max_pixels=CONFIG.images.max_pixels,
            **CONFIG.embedding.model_dump(),
            device=CONFIG.compute.device,
            threads=THREADS,
            code=code_key("embed_images.py"),
        ),
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
    conda:
        ENV
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        **code("gather_embeddings.py"),
        settings=settings(max_invalid=CONFIG.images.max_invalid),
    message:
        "Gathering the embeddings of {wildcards.dataset}/{wildcards.split} by {wildcards.encoder}"
    script:
        "../scripts/gather_embeddings.py"


def vocabulary_source(w):
    """The file of names, if the vocabulary is one."""
    name = dataset(w.dataset).vocabulary
    if w.prompt_set != "vocabulary" or name in BUILT_IN:
        return {}
    file = drawn(w.dataset, "vocabulary.txt") if name == "drawn" else CONFIG.vocabularies[name]
    return {"vocabulary": file}


def text_settings(w):
    name = dataset(w.dataset).vocabulary
    named = {"vocabulary": name, "written_words": True} if w.prompt_set == "vocabulary" else {}
    return settings(
        **{k: v for k, v in named.items() if k != "vocabulary" or name in BUILT_IN},
        prompt_set=w.prompt_set,
        templates=CONFIG.templates,
        device=CONFIG.compute.device,
        threads=THREADS,
    )


rule embed_text:
    input:
        unpack(vocabulary_source),
        classes="results/datasets/{dataset}/classes.parquet",
        weights="results/encoders/{encoder}/weights.json",
    output:
        text="results/encoders/{encoder}/{dataset}/text/{prompt_set}.parquet",
    log:
        "results/logs/embed_text/{encoder}.{dataset}.{prompt_set}.log",
    benchmark:
        "results/benchmarks/embed_text/{encoder}.{dataset}.{prompt_set}.tsv"
    conda:
        ENV
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=8000,
        runtime=30,
    params:
        **code("embed_text.py"),
        settings=text_settings,
    message:
        "Embedding the prompts '{wildcards.prompt_set}' for {wildcards.dataset} with {wildcards.encoder}"
    script:
        "../scripts/embed_text.py"
