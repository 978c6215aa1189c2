# From a folder of images to an index.


def index_source(w):
    """Files an index depends on. A folder of images is not one of them, but it must exist."""
    if is_external(w.dataset):
        checked(check_root)("external_lists", w.dataset, CONFIG.external_lists[w.dataset].root)
        return {"classes_from": classes(CONFIG.external_lists[w.dataset].dataset)}
    d = dataset(w.dataset)
    if d.planted:
        return {"plants": drawn(w.dataset, "plants.json"), "names": drawn(w.dataset, "names.csv")}
    checked(check_root)("datasets", base_name(w.dataset), d.root)
    return {"names": d.names} if d.names else {}


def root_of(name):
    """Folder below which the paths of a data set's index lie."""
    if is_external(name):
        return CONFIG.external_lists[name].root
    d = dataset(name)
    return drawn(name, "images") if d.planted else d.root


def index_settings(w):
    if is_external(w.dataset):
        return settings(root=root_of(w.dataset), layout="cases", dataset=w.dataset)
    d = dataset(w.dataset)
    return settings(
        root=root_of(w.dataset),
        layout=d.layout,
        split=d.split and d.split.model_dump(),
        per_class=d.per_class,
        dataset=base_name(w.dataset),
    )


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
        mem_mb=4000,
        runtime=60,
    params:
        **code("index_images.py"),
        settings=index_settings,
    message:
        "Listing the images of {wildcards.dataset}"
    script:
        "../scripts/index_images.py"


def first_encoder(name):
    """The encoder of the first variant on a data set: which images are unreadable is the same for all."""
    for key, v in CONFIG.variants.items():
        if v.dataset == base_name(name):
            return v.encoder
    raise WorkflowError(f"results/datasets/{name}/excluded.parquet: no variant uses this data set")


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
        mem_mb=1000,
        runtime=5,
    params:
        **code("gather_excluded.py"),
        settings=settings(splits=["train", "test"]),
    message:
        "Listing the unreadable images of {wildcards.dataset}"
    script:
        "../scripts/gather_excluded.py"
