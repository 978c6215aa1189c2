# Input functions and settings of the rules, by stage.
from reliance.encoders.registry import check_encoder
from reliance.settings import BUILT_IN

# ---- planted ----------------------------------------------------------------------------------------


def planted_of(name):
    """The world of a planted data set; a clear error for another one."""
    d = dataset(name)
    if d.planted is None:
        stop(
            RelianceError(
                f"results/datasets/{name}",
                "only planted data is drawn and has a truth",
                found=f"layout: {d.layout}",
                allowed="a data set with layout: planted",
                next_step="ask for another file, or for this one of a variant on planted data",
            )
        )
    return d.planted


def training_of(name):
    """How a small CLIP is trained; a clear error for an encoder that is not trained here."""
    training = encoder(name).training
    if training is None:
        stop(
            RelianceError(
                f"results/encoders/{name}",
                "only an encoder with the section 'training' is trained here",
                found="no such section",
                allowed="an encoder with a section 'training'",
                next_step="ask for weights.json instead, which every encoder has",
            )
        )
    return training


# ---- images -----------------------------------------------------------------------------------------


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


def first_encoder(name):
    """The encoder of the first variant on a data set: which images are unreadable is the same for all."""
    for key, v in CONFIG.variants.items():
        if v.dataset == base_name(name):
            return v.encoder
    stop(
        RelianceError(
            f"results/datasets/{name}/excluded.parquet",
            "unreadable images are noticed when a variant embeds them",
            found=f"no variant uses {base_name(name)}",
            allowed="a data set that a variant uses",
            next_step="add a variant with this data set",
        )
    )


# ---- encoders ---------------------------------------------------------------------------------------


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


def vocabulary_source(w):
    """The file of names, if the vocabulary is one."""
    name = dataset(w.dataset).vocabulary
    if name in BUILT_IN:
        return {}
    file = drawn(w.dataset, "vocabulary.txt") if name == "drawn" else CONFIG.vocabularies[name]
    return {"vocabulary": file}


def vocabulary_settings(w):
    name = dataset(w.dataset).vocabulary
    built_in = {"vocabulary": name} if name in BUILT_IN else {}
    return settings(**TEXT, **built_in, prompt_sets=["vocabulary"], written_words=True)


TEXT = {"device": CONFIG.compute.device, "threads": THREADS}


# ---- sae --------------------------------------------------------------------------------------------


def sae_of(w):
    """The variant's SAE settings; a clear error for a variant that is only benchmarked."""
    chosen = variant(w.variant).sae
    if chosen is None:
        stop(
            RelianceError(
                f"variants.{base_name(w.variant)}.sae",
                f"this file of results/{w.variant} needs an SAE",
                found="the variant has none: it is only benchmarked",
                allowed="a section such as  sae: {preset: default}",
                next_step="give the variant one, or ask for its fig5, fig14 or table1",
            )
        )
    return chosen


# ---- components -------------------------------------------------------------------------------------


def labels_source(w):
    """What the variant's labeller says of the training images and of the vocabulary."""
    sae_of(w)
    v = variant(w.variant)
    files = {
        "labels": embeddings(v.labeller, v.dataset, "train"),
        "vocabulary": text(v.labeller, v.dataset, "vocabulary"),
    }
    if encoder(v.labeller).role == "encoder":
        files["labeller_head"] = f"results/encoders/{v.labeller}/head.safetensors"
    return files


# ---- attribution ------------------------------------------------------------------------------------


def explained(w, split="{split}"):
    """What every attribution is computed from."""
    v = variant(w.variant)
    return {
        "index": index(v.dataset),
        "embeddings": of_dataset(w, f"{split}/manifest.json"),
        "codes": f"results/{w.variant}/codes/{split}/manifest.json",
        "sae": f"results/{w.variant}/sae/sae.safetensors",
        "head": of_encoder(w, "head.safetensors"),
        "text": of_dataset(w, f"text/{v.failures.prompt_set}.parquet"),
    }


def attributed_split(w):
    """The split a table of attributions reads: the subset is a view of train."""
    return "train" if w.attributed == "subset" else "test"


# ---- failures ---------------------------------------------------------------------------------------


def review_of(w):
    """The review file of a variant, if somebody wrote one."""
    path = f"config/reviews/{w.variant}.tsv"
    return {"review": path} if Path(path).exists() else {}


# ---- robustness -------------------------------------------------------------------------------------


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


# ---- report -----------------------------------------------------------------------------------------


def default_targets(name):
    """What the demo shows of a variant."""
    return [f"results/{name}/{file}" for file in ("fig5.pdf", "fig14.pdf", "table1.md")]


def demo_targets():
    """Everything of the embedded demo."""
    return (
        default_targets("demo")
        + default_targets("demo_early")
        + ["results/demo/truth.json", "results/datasets/planted/excluded.parquet"]
        + [f"results/demo/attributions/{split}.parquet" for split in ("subset", "test")]
        + [f"results/compare/demo/{figure}.pdf" for figure in ("fig5", "fig14")]
    )


@checked
def comparison(name):
    """The variants of a comparison, by its name; a rehearsal suffix holds for all of them."""
    base = base_name(name)
    known("comparisons", base, CONFIG.comparisons, where=f"results/compare/{name}")
    return [member + name[len(base) :] for member in CONFIG.comparisons[base]]


def robustness_of(names):
    return [f"results/{name}/robustness.parquet" for name in names]


def shown(names):
    """Which variants a figure shows, and which of them have encoders that were never trained."""
    encoders = [encoder(variant(name).encoder) for name in names]
    return settings(variants=names, random_weights=[e.weights == "random" for e in encoders])
