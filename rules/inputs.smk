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
    if d.names:
        checked(check_file)(f"datasets.{base_name(w.dataset)}.names", d.names)
    beside = os.path.join(d.root, "names.csv")
    names = d.names or (beside if os.path.isfile(beside) else None)
    return {"names": names} if names else {}


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
    """An encoder that embeds a data set, if possible one that did: all find the same images unreadable."""
    used = [v.encoder for v in CONFIG.variants.values() if v.dataset == base_name(name)]
    done = [e for e in used if Path(embeddings(e, name, "train")).exists()]
    if used:
        return (done or used)[0]
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


def local_file(e):
    """A file of weights that a user names; None if it is another source, or a downloaded folder."""
    path = e.file and os.path.expanduser(e.file)
    return path if path and os.path.isfile(path) else None


def weights_source(w):
    """The file of weights, if there is one yet; every source is checked before any job runs."""
    e = encoder(w.encoder)
    if e.training:
        return {"checkpoint": f"results/encoders/{w.encoder}/checkpoint.safetensors"}
    if e.halfway_of:
        return {"checkpoint": f"results/encoders/{e.halfway_of}/halfway.safetensors"}
    file = local_file(e)
    checked(functools.partial(check_encoder, encoder=w.encoder, role=e.role))(
        e.architecture,
        e.pretrained,
        e.file,
        e.weights == "random",
        e.preprocess and e.preprocess.model_dump(),
    )
    return {"checkpoint": file} if file else {}


def weights_settings(w):
    e = encoder(w.encoder)
    return settings(
        encoder=w.encoder,
        architecture=e.architecture,
        pretrained=e.pretrained,
        file=None if local_file(e) else e.file,
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
    if name == "drawn":
        return {"vocabulary": drawn(w.dataset, "vocabulary.txt")}
    checked(check_file)(f"vocabularies.{name}", CONFIG.vocabularies[name])
    return {"vocabulary": CONFIG.vocabularies[name]}


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


@checked
def external(name):
    """A list of cases found elsewhere, by the name of its folder."""
    known("external_lists", name, CONFIG.external_lists, where=f"results/datasets/{name}/cases.tsv")
    return CONFIG.external_lists[name]


def lists_of(v):
    """External lists of a variant that can be read: planted data sets, folders with a root, tables.

    Tables name images of the whole data set, so a rehearsal leaves them out.
    """
    planted = [v.dataset] if dataset(v.dataset).planted else []
    folders = [e for e in v.external if CONFIG.external_lists[e].root]
    tables = [e for e in v.external if CONFIG.external_lists[e].failures and not rehearsed(v.name)]
    return planted, folders, tables


def sources_of(v):
    """Where the cases of each of these lists come from, in the same order."""
    planted, folders, tables = lists_of(v)
    return ["planted"] * len(planted) + [CONFIG.external_lists[e].source for e in folders + tables]


def skipped(v):
    """External lists of a variant that have no folder or tables, or that a rehearsal leaves out."""
    planted, folders, tables = lists_of(v)
    return [e for e in v.external if e not in folders + tables]


def external_cases(w):
    """Cases found elsewhere: their lists, their samples, and embeddings of images outside the data set."""
    v = variant(w.variant)
    planted, folders, tables = lists_of(v)
    lists = [CONFIG.external_lists[e] for e in tables]
    for name, entry in zip(tables, lists):
        checked(check_file)(f"external_lists.{name}.failures", entry.failures)
        checked(check_file)(f"external_lists.{name}.samples", entry.samples)
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
    return settings(
        variants=names,
        random_weights=[e.weights == "random" for e in encoders],
        skipped_lists=sorted({e for name in names for e in skipped(variant(name))}),
    )
