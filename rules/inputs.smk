# Input functions and settings of the rules, by stage.
from reliance.encoders.registry import check_encoder
from reliance.images.names import read_lines, read_names
from reliance.config.resolve import BUILT_IN

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


def captioned(name):
    """What shapes the captioned pool of a planted data set."""
    return planted_of(name).model_dump(include={"world", "classes"}, exclude_none=True)


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
    if names:
        checked(read_names)(names)
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


def names_file(dataset_name, name):
    """The file of a vocabulary, if it is one."""
    if name in BUILT_IN:
        return {}
    if name == "drawn":
        planted_of(dataset_name)
        return {"vocabulary": drawn(dataset_name, "vocabulary.txt")}
    checked(check_file)(f"vocabularies.{name}", CONFIG.vocabularies[name])
    checked(read_lines)(Path(CONFIG.vocabularies[name]))
    return {"vocabulary": CONFIG.vocabularies[name]}


def vocabulary_source(w):
    return names_file(w.dataset, dataset(w.dataset).vocabulary)


def vocabulary_settings(w):
    name = dataset(w.dataset).vocabulary
    built_in = {"vocabulary": name} if name in BUILT_IN else {}
    return settings(**TEXT, **built_in, prompt_sets=["vocabulary"], written_words=True)


def asked_source(w):
    """The file of the names that hidden concepts are held against, if they come from one."""
    return names_file(w.dataset, CONFIG.hidden.vocabulary) if CONFIG.hidden.vocabulary else {}


def asked_settings(w):
    name = CONFIG.hidden.vocabulary
    listed = {"vocabulary": CONFIG.hidden.prompts} if CONFIG.hidden.prompts else {}
    built_in = {"vocabulary": name} if name in BUILT_IN else {}
    return settings(**TEXT, **listed, **built_in, prompt_sets=["vocabulary"], written_words=False)


TEXT = {"device": CONFIG.compute.device, "threads": THREADS}


# ---- sae --------------------------------------------------------------------------------------------


def sae_of(w):
    """The variant's SAE settings; a clear error for a variant that is only benchmarked."""
    return sae_named(w.variant)


def sae_named(name):
    """The same, by the variant's name."""
    chosen = variant(name).sae
    if chosen is None:
        stop(
            RelianceError(
                f"variants.{base_name(name)}.sae",
                f"this file of results/{name} needs an SAE",
                found="the variant has none: it is only benchmarked",
                allowed="a section such as  sae: {preset: default}",
                next_step="give the variant one, or ask for its report.html, fig5, fig12, fig13, fig14 or table1",
            )
        )
    return chosen


def embedding_settings():
    """How images are embedded. A key at its model's default is left out, so that a new one reruns nothing."""
    return CONFIG.embedding.model_dump(exclude={"workers"}, exclude_defaults=True)


def split_and_transform(name):
    """The split that is embedded, and how its images are changed before."""
    split, at, transform = name.partition("@")
    if not at:
        return {"split": split}
    checked(known)("transforms", transform, CONFIG.transforms, f"results/encoders/.../{name}")
    return {"split": split, "transform": CONFIG.transforms[transform].model_dump()}


# ---- components -------------------------------------------------------------------------------------


def labels_source(w, split="train", prompt_set="vocabulary"):
    """What the variant's labeller says of the images of a split and of names."""
    sae_of(w)
    v = variant(w.variant)
    return {
        "labels": embeddings(v.labeller, v.dataset, split),
        "vocabulary": text(v.labeller, v.dataset, prompt_set),
        **labeller_head(v.labeller),
    }


def labeller_head(name):
    """The head of a labeller that stores class tokens."""
    return (
        {"labeller_head": f"results/encoders/{name}/head.safetensors"}
        if encoder(name).role == "encoder"
        else {}
    )


# ---- interpretability -------------------------------------------------------------------------------


def named_images(w):
    """What a labeller says of test images and of the names of their classes.

    The labeller of planted data never saw the ambiguous names; what a class shows is in its definition there.
    """
    names = "definition" if dataset(w.dataset).planted else "short"
    return {
        "index": index(w.dataset),
        "labels": embeddings(w.encoder, w.dataset, "test"),
        "names": text(w.encoder, w.dataset, names),
        "vocabulary": text(w.encoder, w.dataset, "vocabulary"),
        **labeller_head(w.encoder),
    }


def alignments_of(name):
    """How well classes look like their names to the variant's labeller."""
    v = variant(name)
    return f"results/encoders/{v.labeller}/{v.dataset}/alignments.parquet"


def asked_components(w):
    """The components under other names, if hidden concepts are to be held against those."""
    sae_of(w)
    asked = CONFIG.hidden.vocabulary or CONFIG.hidden.prompts
    return {"asked": f"results/{w.variant}/components/asked/train.parquet"} if asked else {}


# ---- attribution ------------------------------------------------------------------------------------


def explained(w, split="{split}"):
    """What every attribution is computed from."""
    v = variant(w.variant)
    return {
        "index": index(v.dataset),
        "embeddings": embedded(w, split),
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
    if not Path(path).exists():
        return {}
    from reliance.failures.reviews import read_reviews  # with pandas: only where there is such a file

    checked(read_reviews)(path, None)
    return {"review": path}


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


# ---- case study -------------------------------------------------------------------------------------


def audit_of(w):
    """The audit of a variant; a clear error for one without."""
    audit = variant(w.variant).audit
    if audit is None:
        stop(
            RelianceError(
                f"results/{w.variant}",
                "a variant is audited if its section audit says which classes",
                found="no such section",
                allowed="a variant with an SAE and a section audit",
                next_step=f"run again with --config 'variants={{{base_name(w.variant)}: {{audit: {{positive: "
                "[CLASS]}}}', or write it there; config/config.yaml explains its keys",
            )
        )
    return audit


def groups_source(w):
    """The table of ids that a user gives; layout isic has them in its own tables."""
    d = dataset(w.dataset)
    if d.groups:
        checked(check_file)(f"datasets.{base_name(w.dataset)}.groups", d.groups)
    return {"ids": d.groups} if d.groups else {}


def audit_groups(w):
    """The ids that keep images together, if the audit has them do so."""
    name = variant(w.variant).dataset
    return {"groups": f"results/datasets/{name}/groups.parquet"} if audit_of(w).group else {}


def learned_from(w):
    """What the probe of an audit learns from, and what explains it."""
    audit_of(w)
    files = explained(w, "train")
    files.pop("text")
    return {**files, "audit_split": f"results/{w.variant}/audit/split.parquet"}


def changed_images(w, *names):
    """Embeddings of the split that is tested on: as it is, and under the intervention and its opposite."""
    audit = audit_of(w)
    split = "train" if audit.test_on == "rest" else "test"
    changes = {"increased": audit.intervention.transform, "reduced": audit.intervention.opposite}
    folders = {name: split + (f"@{changes[name]}" if name in changes else "") for name in names}
    wanted = {name for name in names if changes.get(name, split)}
    return {name: of_dataset(w, f"{folders[name]}/manifest.json") for name in names if name in wanted}


def choice_source(w):
    """What tells whether the intervention moves a component."""
    return changed_images(w, "tested", "increased")


def audited(w):
    """What the figures of an audit are drawn from."""
    audit_of(w)
    folder = f"results/{w.variant}/audit"
    return {
        "relevances": f"{folder}/relevances.parquet",
        "accuracies": f"{folder}/accuracies.parquet",
        "audit": f"{folder}/audit.json",
    }


# ---- figures ----------------------------------------------------------------------------------------


@checked
def comparison(name):
    """The variants of a comparison, by its name; a rehearsal suffix holds for all of them."""
    base = base_name(name)
    known("comparisons", base, CONFIG.comparisons, where=f"results/compare/{name}")
    return [member + name[len(base) :] for member in CONFIG.comparisons[base]]


def with_sae(w):
    """The variants of a comparison that have an SAE."""
    names = [name for name in comparison(w.comparison) if variant(name).sae]
    if names:
        return names
    stop(
        RelianceError(
            f"comparisons.{base_name(w.comparison)}",
            "this figure compares components",
            found="no variant with an SAE",
            allowed="at least one variant with a section sae",
            next_step="give one an SAE, or ask for fig5 or fig14, which need none",
        )
    )


def robustness_of(names):
    return [f"results/{name}/robustness.parquet" for name in names]


def curves_of(names):
    """Deletion and insertion curves of some variants."""
    for name in names:
        sae_named(name)
    return {
        "faithfulness": [f"results/{name}/faithfulness.parquet" for name in names],
        "summary": [f"results/{name}/faithfulness.json" for name in names],
    }


def bases_of(names):
    """The components of some variants in all three bases, and what their alignment is held against."""
    for name in names:
        sae_named(name)
    return {
        "components": [f"results/{name}/components.parquet" for name in names],
        "neurons": [f"results/{name}/components/neurons/train.parquet" for name in names],
        "pca": [f"results/{name}/components/pca/train.parquet" for name in names],
        "alignments": [alignments_of(name) for name in names],
    }


def tested_components(names):
    """The components of some variants on the test split."""
    for name in names:
        sae_named(name)
    return {"components": [f"results/{name}/components/sae/test.parquet" for name in names]}


def concepts_of(w):
    """Hidden concepts of a variant and where their strongest images are."""
    sae_of(w)
    return {
        "hidden": f"results/{w.variant}/hidden.parquet",
        "components": f"results/{w.variant}/components.parquet",
        "classes": classes(variant(w.variant).dataset),
        "top_samples": f"results/{w.variant}/top_samples.parquet",
        "index": index(variant(w.variant).dataset),
    }


def gallery_lists(v):
    """External lists whose images are shown: those of folders and tables, not what was planted."""
    _, folders, tables = lists_of(v)
    return folders, [CONFIG.external_lists[e] for e in tables]


def gallery_cases(w):
    """The failure cases a variant is scored on, and the indexes of their images."""
    v = variant(w.variant)
    folders, tables = gallery_lists(v)
    mined = f"results/{v.failures_from}"
    return {
        "failures": f"{mined}/failures.tsv",
        "failure_samples": f"{mined}/failure_samples.parquet",
        "outlier_samples": f"{mined}/outlier_samples.parquet",
        "components": f"{mined}/components.parquet",
        "classes": classes(v.dataset),
        "robustness": f"results/{w.variant}/robustness.parquet",
        "indexes": [index(name) for name in (v.dataset, *folders)],
        "external_failures": [f"results/datasets/{e}/cases.tsv" for e in folders]
        + [t.failures for t in tables],
        "external_samples": [f"results/datasets/{e}/cases_samples.parquet" for e in folders]
        + [t.samples for t in tables],
    }


def shown(names):
    """Which variants a figure shows, and which of them have encoders that were never trained."""
    encoders = [encoder(variant(name).encoder) for name in names]
    return {"variants": names, "random_weights": [e.weights == "random" for e in encoders]}


def benchmarked(names):
    """The same, and the lists of cases that could not be read."""
    return settings(
        **shown(names), skipped_lists=sorted({e for name in names for e in skipped(variant(name))})
    )


def compared(w):
    """The variants of a comparison that have an SAE, and those that have none."""
    names = with_sae(w)
    return settings(**shown(names), skipped=[name for name in comparison(w.comparison) if name not in names])


def reading():
    """How image files are read."""
    return some(CONFIG.images, "apply_exif", "max_pixels")


def concept_gallery(w):
    return settings(
        **shown([w.variant]),
        **some(CONFIG.galleries, "per_band", "images_per_component"),
        **reading(),
        dataset_root=root_of(variant(w.variant).dataset),
    )


def case_gallery(w):
    v = variant(w.variant)
    folders, _ = gallery_lists(v)
    names = [v.dataset, *folders]
    planted, *_ = lists_of(v)
    return settings(
        **shown([w.variant]),
        skipped_lists=skipped(v),
        external_sources=sources_of(v)[len(planted) :],
        **some(CONFIG.galleries, "cases_per_kind", "images_per_case"),
        **reading(),
        datasets=names,
        roots=[root_of(name) for name in names],
        prompt_set=variant(v.failures_from).failures.prompt_set,
        mined_by=v.failures_from,
    )


# ---- report -----------------------------------------------------------------------------------------


ABOUT_LATENTS = [3, 4, 7, 8, 9, 10, 11]  # figures that need an SAE


ABOUT_PROBES = [6, 15]  # figures of an audit


def figures_of(v):
    """The figures that apply to a variant; only those of the robustness benchmark need no SAE."""
    numbers = [5, 12, 13, 14] + (ABOUT_LATENTS if v.sae else []) + (ABOUT_PROBES if v.audit else [])
    return [f"fig{n}" for n in sorted(numbers)]


def page_of(w):
    """Everything that the page of a variant shows."""
    v = variant(w.variant)
    here, mined = f"results/{w.variant}", f"results/{v.failures_from}"
    figures = figures_of(v)
    files = {
        "figures": [f"{here}/{name}.png" for name in figures],
        "captions": [f"{here}/{name}.caption.md" for name in figures],
        "numbers": [f"{here}/{name}.csv" for name in [*figures, "table1"]],
        "table1": f"{here}/table1.md",
        "robustness": f"{here}/robustness.parquet",
        "failures": f"{mined}/failures.tsv",
        "failure_samples": f"{mined}/failure_samples.parquet",
        "mined_components": f"{mined}/components.parquet",
        "index": index(v.dataset),
        "classes": classes(v.dataset),
        "excluded": f"results/datasets/{v.dataset}/excluded.parquet",
        "weights": of_encoder(w, "weights.json"),
    }
    if v.sae:
        files |= {name: paths[0] for name, paths in bases_of([w.variant]).items()}
        files |= {
            "tested": f"{here}/components/sae/test.parquet",
            "hidden": f"{here}/hidden.parquet",
            "faithfulness": f"{here}/faithfulness.parquet",
            "quality": f"{here}/sae/quality.json",
        }
    if v.audit:
        files |= {
            "audit": f"{here}/audit/audit.json",
            "audit_accuracies": f"{here}/audit/accuracies.parquet",
            "audit_relevances": f"{here}/audit/relevances.parquet",
        }
    planted = dataset(v.dataset).planted
    if planted and planted.world == "objects" and v.failures_from == v.name:  # lesions have no cases to mine
        files["truth"] = f"{here}/truth.json"
    return files


def page_settings(w):
    v = variant(w.variant)
    encoders = {name: encoder(name).model_dump() for name in (v.encoder, v.labeller) if name}
    return settings(
        variant=w.variant,
        mined_by=v.failures_from,
        random_weights=encoder(v.encoder).weights == "random",
        note=encoder(v.encoder).note or "",
        left_out=[] if v.sae else [str(n) for n in ABOUT_LATENTS],
        configuration={
            "variant": {
                name: value for name, value in v._asdict().items() if name not in ("sae", "failures", "audit")
            },
            "encoders": encoders,
            "dataset": dataset(v.dataset).model_dump(),
            "sae": v.sae.model_dump() if v.sae else "none",
            "failures": variant(v.failures_from).failures.model_dump(),
            "audit": v.audit.model_dump() if v.audit else "none",
            "images": reading(),
            "embedding": CONFIG.embedding.model_dump(exclude={"workers"}),  # a change of these reruns nothing
            **some(CONFIG, "templates", "naming", "probe", "faithfulness", "hidden", "galleries"),
        },
    )


def owners_of(w):
    """Whose jobs the page lists times of."""
    v = variant(w.variant)
    return [name for name in (v.name, v.failures_from, v.encoder, v.labeller, v.dataset) if name]


def default_targets(name):
    """What the demo shows of a variant."""
    return [f"results/{name}/report.html"] + [
        f"results/{name}/{figure}.pdf" for figure in figures_of(variant(name))
    ]


def demo_targets():
    """Everything of the embedded demo."""
    return (
        default_targets("demo")
        + [f"results/demo_early/{file}" for file in ("fig5.pdf", "fig14.pdf", "table1.md")]
        + [f"results/demo/attributions/{split}.parquet" for split in ("subset", "test")]
        + [f"results/compare/demo/fig{n}.pdf" for n in (4, 5, 7, 8, 9, 14)]
    )
