# Paths, input functions, settings and code fingerprints shared by all rules.
import functools

from reliance.running import fingerprint
from reliance.config.resolve import check_file, check_root, dataset_of, known, load, resolve

SCRIPTS = Path(workflow.basedir).parent / "scripts"
ENV = "../envs/reliance.yaml"


def stop(error):
    """End the run with the message alone: Snakemake would wrap it in an excerpt of its own stack."""
    sys.exit(f"\nERROR {error}\n")


def checked(function):
    """The function with a user's errors ending the run with one message."""

    @functools.wraps(function)
    def wrapper(*arguments):
        try:
            return function(*arguments)
        except RelianceError as error:
            stop(error)

    return wrapper


CONFIG = checked(load)(config)
THREADS = CONFIG.compute.threads
GPU = 0 if CONFIG.compute.device == "cpu" else 1


CHANGED_SPLIT = r"(train|test|cases)(@[a-z0-9_]+)?"  # {split}@{transform}: images changed before embedding


wildcard_constraints:
    variant=r"(?!(compare|datasets|encoders|logs|benchmarks)/)[^/]+",
    dataset=r"[^/]+",
    encoder=r"[^/]+",
    comparison=r"[^/]+",
    split="train|test|cases",
    part=r"\d+",
    parts=r"\d+",


@functools.lru_cache(maxsize=None)
@checked
def variant(name):
    """Settings of a variant, by the name of its folder."""
    return resolve(CONFIG, name)


@functools.lru_cache(maxsize=None)
@checked
def dataset(name):
    """A data set, by the name of its folder."""
    return dataset_of(CONFIG, name)


@functools.lru_cache(maxsize=None)
@checked
def encoder(name):
    """An encoder, by the name of its folder."""
    known("encoders", name, CONFIG.encoders, where=f"results/encoders/{name}")
    return CONFIG.encoders[name]


@functools.lru_cache(maxsize=None)
def code(script):
    """One param per module that a script can reach, so that a rerun names what changed."""
    return fingerprint.fingerprints(SCRIPTS / script, Path(SRC))


@functools.lru_cache(maxsize=None)
def code_key(script):
    """One hash of all code a script can reach: the key of its unfinished work."""
    return fingerprint.code_key(SCRIPTS / script, Path(SRC))


def settings(**values):
    """Plain values under sorted names: Snakemake compares params by value only, so names go along."""
    return {name: plain(values[name]) for name in sorted(values)}


def untracked(**values):
    """Values that change speed or strictness but no result, as a param that Snakemake does not compare.

    It leaves out functions that take `resources`.
    """
    return lambda wildcards, resources: settings(**values)


def some(section, *names):
    """Some values of a section of the configuration."""
    return section.model_dump(include=set(names))


def plain(value):
    """A value as plain lists and sorted dicts."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return settings(**value)
    return value


def base_name(name):
    """A data set's name without its rehearsal suffix."""
    return name.split(".n")[0]


def is_external(name):
    """Whether a data set's name is that of a list of cases found elsewhere."""
    return name in CONFIG.external_lists


def rehearsed(name):
    """Whether a variant or data set is a rehearsal on its first images."""
    return base_name(name) != name


# ---- paths -------------------------------------------------------------------------------------------


def embeddings(encoder_name, dataset_name, split):
    """The manifest of a split's embeddings; that of another run if the encoder's `embeddings_from` names one."""
    folder = encoder(encoder_name).embeddings_from
    path = f"{folder or 'results'}/encoders/{encoder_name}/{dataset_name}/{split}/manifest.json"
    if folder:
        checked(check_file)(f"encoders.{encoder_name}.embeddings_from", path)
    return path


def embedded(w, split):
    """The same of a variant's encoder on its data set."""
    v = variant(w.variant)
    return embeddings(v.encoder, v.dataset, split)


def text(encoder_name, dataset_name, prompt_set):
    return f"results/encoders/{encoder_name}/{dataset_name}/text/{prompt_set}.parquet"


def index(dataset_name):
    return f"results/datasets/{dataset_name}/index.parquet"


def classes(dataset_name):
    return f"results/datasets/{dataset_name}/classes.parquet"


def of_encoder(w, file):
    """A file of the variant's encoder."""
    return f"results/encoders/{variant(w.variant).encoder}/{file}"


def of_dataset(w, file):
    """A file of the variant's encoder on the variant's data set."""
    v = variant(w.variant)
    return f"results/encoders/{v.encoder}/{v.dataset}/{file}"


def drawn(name, file):
    """A file that the drawing rule made for a planted data set; a rehearsal reads those of the whole set."""
    return f"results/datasets/{base_name(name)}/{file}"


def part_names(n):
    return [f"part-{i}-of-{n}.zarr" for i in range(n)]


def parts_of(name):
    """Number of parts a split of a data set is divided into."""
    return 1 if is_external(name) else dataset(name).parts


def figure_files(name, category, folder="{variant}"):
    """The files of a figure: PDF, a preview that goes into Snakemake's report, its numbers and its caption."""
    about = "{variant}" if folder == "{variant}" else "{comparison} (comparison)"
    stem = f"results/{folder}/{name}"
    return {
        "pdf": f"{stem}.pdf",
        "png": report(
            f"{stem}.png",
            caption=f"../workflow/report/{name}.rst",
            category=category,
            labels={"variant": about, "figure": name.replace("fig", "Fig. ")},
        ),
        "csv": f"{stem}.csv",
        "caption": f"{stem}.caption.md",
    }
