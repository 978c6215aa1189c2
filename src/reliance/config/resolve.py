"""From a raw configuration to checked settings of one variant, or one clear error."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from reliance.base.errors import RelianceError
from reliance.config.lens import LensSettings
from reliance.config.mistakes import GIVEN, explain, invalid, nearest
from reliance.config.models import REHEARSAL, RESERVED, Config, Dataset
from reliance.config.read_at import check_site
from reliance.config.sae import SaeImport, SaeTraining
from reliance.config.sites import SITES, kind_of
from reliance.config.stages import AuditSettings, Failures, GivenProbe

BUILT_IN = ("classes", "general", "imagenet21k")  # vocabularies that need no file
CAPTIONS = "captions"  # the vocabulary that is made of what is said about a data set's images


class Resolved(NamedTuple):
    """A variant with its presets, overrides and rehearsal suffix applied."""

    name: str
    encoder: str
    site: str  # where in the encoder x is read
    dataset: str
    labeller: str | None
    sae: SaeTraining | SaeImport | None
    train_on: tuple[tuple[str, str], ...]  # (dataset, split)
    failures: Failures
    failures_from: str  # the variant whose cases are scored; itself if it mines its own
    external: tuple[str, ...]
    audit: AuditSettings | None  # of classes that it names
    probe: GivenProbe | None = None  # a classifier of others
    pooling: str = "max"  # of the codes of patches
    lens: LensSettings | None = None  # what is looked at inside the encoder


def load(raw: Mapping[str, Any]) -> Config:
    """Check a configuration as read from YAML and the command line; raises RelianceError."""
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise explain(error, Config, ()) from None
    for name in config.variants:
        _check_variant(config, name)
    _check_references(config)
    return config


def resolve(config: Config, name: str) -> Resolved:
    """Settings of a variant by the name its results folder has, rehearsal suffix included.

    Raises RelianceError for a name that is not a variant.
    """
    base, count = _rehearsal(name, "variants", config.variants, f"results/{name}")
    suffix = f".n{count}" if count else ""
    variant = config.variants[base]
    failures = config.failures_of(base)
    if suffix:
        failures = failures.model_copy(update={"every_nth": 1})
    train_on = variant.train_on or (f"{variant.dataset}:train",)
    pairs = tuple((d + suffix, s) for d, s in (entry.split(":") for entry in train_on))
    return Resolved(
        name=name,
        encoder=variant.encoder,
        site=variant.site,
        dataset=variant.dataset + suffix,
        labeller=variant.labeller,
        sae=config.sae_of(base),
        train_on=pairs,
        failures=failures,
        failures_from=(variant.failures_from or base) + suffix,
        external=variant.external,
        audit=variant.audit if variant.audit and variant.audit.positive else None,
        probe=variant.audit.probe if variant.audit else None,
        pooling=variant.pooling,
        lens=variant.lens,
    )


def dataset_of(config: Config, name: str) -> Dataset:
    """A data set by folder name; with a rehearsal suffix, `per_class` is set."""
    base, count = _rehearsal(name, "datasets", config.datasets, f"results/datasets/{name}")
    return config.datasets[base].model_copy(update={"per_class": count})


def check_root(section: str, name: str, root: str | None) -> None:
    """Raise RelianceError unless the folder of a data set or of an external list is there."""
    if root is None or not os.path.isdir(root):  # which, unlike Path's, takes any text
        raise RelianceError(
            f"{GIVEN}: {section}.{name}.root",
            "it must be the folder that holds the images",
            found="no root" if root is None else f"{root} is not a folder",
            allowed="an existing folder",
            next_step=f"run again with --config '{section}={{{name}: {{root: PATH}}}}', or write it there",
        )


def check_file(where: str, path: str) -> None:
    """Raise RelianceError unless a file that the configuration names is there."""
    if not os.path.isfile(path):
        raise RelianceError(
            f"{GIVEN}: {where}",
            "it must be an existing file",
            found=path,
            allowed="a file, relative to the folder snakemake is started in",
            next_step="correct the path, or make the file",
        )


def known(section: str, name: object, names: Iterable[str], where: str) -> None:
    """Raise RelianceError unless `name` is one of `names`, suggesting the nearest one."""
    names = list(names)
    if not isinstance(name, str) or name not in names:
        near = nearest(name, names) if isinstance(name, str) else ""
        raise RelianceError(
            where,
            f"it must name an entry of '{section}' in the configuration",
            found=name,
            allowed=", ".join(names) or "(none defined)",
            next_step=near or f"add an entry of this name under '{section}', or correct the name",
        )


def _rehearsal(name: str, section: str, names: Iterable[str], where: str) -> tuple[str, int | None]:
    """The entry that a folder's name stands for, and N of its suffix .n{N}. Raises RelianceError."""
    names, (base, dot, suffix) = list(names), name.partition(".")
    match = REHEARSAL.fullmatch(name)
    if base in names and dot and not match:
        raise invalid(
            where,
            "a rehearsal is asked for by .n{N} behind the name",
            f".{suffix}",
            "the number of images per class, 1 to 999999999",
            f"for example {base}.n20",
        )
    known(section, match["name"] if match else name, names, where)
    return base, int(match["n"]) if match and match["n"] else None


def _check_variant(config: Config, name: str) -> None:
    variant, here = config.variants[name], f"{GIVEN}: variants.{name}"
    if name in RESERVED:
        raise invalid(here, "these names are folders of their own", name, f"not {RESERVED}", "rename it")
    known("encoders", variant.encoder, config.encoders, f"{here}.encoder")
    known("datasets", variant.dataset, config.datasets, f"{here}.dataset")
    check_site(config, name, here)
    if variant.sae is not None:
        if "preset" not in variant.sae and "import" not in variant.sae:
            raise invalid(
                f"{here}.sae",
                "an SAE starts from a preset, or is imported",
                f"the keys {', '.join(variant.sae) or 'none'}",
                f"preset: {' | '.join(config.sae_presets)}, and keys that differ from it; or import: PATH",
                "add the key preset",
            )
        if "import" not in variant.sae:
            preset = variant.sae["preset"]
            known("sae_presets", preset, config.sae_presets, f"{here}.sae.preset")
        if variant.labeller is None:
            raise invalid(
                here,
                "a variant with an SAE has a labeller",
                "none",
                "the name of an encoder: any CLIP, also the one that is analysed, or one with role: labeller",
                f"add  labeller: {variant.encoder}",
            )
    if variant.sae is None and variant.failures_from is None:
        raise invalid(
            here,
            "a variant has an SAE, or scores cases that another variant found",
            "neither sae nor failures_from",
            "a section sae, or failures_from: NAME",
            "add one of the two",
        )
    _check_overrides(config, name)
    _check_lists(config, name, here)
    _check_source(config, name, here)
    _check_audit(config, name, here)


def _check_audit(config: Config, name: str, here: str) -> None:
    """An audit needs components, and transforms that exist."""
    variant = config.variants[name]
    if variant.audit is None or not variant.audit.positive:
        return
    if variant.sae is None:
        raise invalid(
            f"{here}.audit",
            "an audit looks at components",
            "no SAE",
            "a variant with a section sae",
            "add it",
        )
    if SITES[kind_of(variant.site)].tail:
        raise invalid(
            f"{here}.audit",
            "an audit is of a site with a closed form behind it",
            f"site {variant.site}",
            "site: class_token or embedding",
            "audit the model there",
        )
    for key in ("transform", "opposite"):
        chosen = getattr(variant.audit.intervention, key)
        if chosen is not None:
            known("transforms", chosen, config.transforms, f"{here}.audit.intervention.{key}")


def _check_overrides(config: Config, name: str) -> None:
    variant = config.variants[name]
    for section, build in (("sae", config.sae_of), ("failures", config.failures_of)):
        try:
            build(name)
        except ValidationError as error:
            own = SaeImport if "import" in (variant.sae or {}) else SaeTraining
            model = own if section == "sae" else Failures
            raise explain(error, model, ("variants", name, section)) from None


def _check_lists(config: Config, name: str, here: str) -> None:
    variant = config.variants[name]
    if variant.labeller is not None:
        known("encoders", variant.labeller, config.encoders, f"{here}.labeller")
    for entry in variant.train_on or ():
        dataset, _, split = entry.partition(":")
        known("datasets", dataset, config.datasets, f"{here}.train_on")
        if split not in ("train", "test"):
            raise invalid(f"{here}.train_on", "an entry is dataset:split", entry, "split train or test", "")
    for external in variant.external:
        known("external_lists", external, config.external_lists, f"{here}.external")
        if config.external_lists[external].dataset != variant.dataset:
            raise invalid(
                f"{here}.external",
                "a list of cases belongs to the data set of the variant",
                f"{external} is for {config.external_lists[external].dataset}",
                f"lists for {variant.dataset}",
                "its classes are those of another data set: remove it here",
            )


def _check_source(config: Config, name: str, here: str) -> None:
    source = config.variants[name].failures_from
    if source is None:
        return
    known("variants", source, config.variants, f"{here}.failures_from")
    other = config.variants[source]
    if other.failures_from is not None or other.sae is None:
        raise invalid(
            f"{here}.failures_from",
            "it names a variant that mines its own cases",
            f"{source} has no SAE"
            if other.sae is None
            else f"{source} takes them from {other.failures_from}",
            "a variant with an SAE and without failures_from",
            "chains are not followed: name the variant that mines",
        )
    if other.dataset != config.variants[name].dataset:
        raise invalid(
            f"{here}.failures_from",
            "both variants use the same data set",
            f"{other.dataset} there, {config.variants[name].dataset} here",
            "one data set",
            "cases are lists of its images",
        )


def _check_references(config: Config) -> None:
    for name, encoder in config.encoders.items():
        here = f"{GIVEN}: encoders.{name}"
        if encoder.training is not None:
            planted = [d for d, v in config.datasets.items() if v.planted]
            known("datasets", encoder.training.dataset, planted, f"{here}.training.dataset")
        if encoder.halfway_of is not None:
            trained = [e for e, v in config.encoders.items() if v.training]
            known("encoders", encoder.halfway_of, trained, f"{here}.halfway_of")
    for name, dataset in config.datasets.items():
        built_in = (*BUILT_IN, "drawn" if dataset.planted else CAPTIONS)
        names = [*built_in, *config.vocabularies]
        if dataset.vocabulary is not None:
            known("vocabularies", dataset.vocabulary, names, f"{GIVEN}: datasets.{name}.vocabulary")
    if config.hidden.vocabulary is not None:
        names = [*BUILT_IN, "drawn", CAPTIONS, *config.vocabularies]
        known("vocabularies", config.hidden.vocabulary, names, f"{GIVEN}: hidden.vocabulary")
    for name, members in config.comparisons.items():
        for member in members:
            known("variants", member, config.variants, f"{GIVEN}: comparisons.{name}")
    for name, external in config.external_lists.items():
        known("datasets", external.dataset, config.datasets, f"{GIVEN}: external_lists.{name}.dataset")
        if name in config.datasets:
            raise invalid(
                f"{GIVEN}: external_lists.{name}",
                "names of lists and data sets differ",
                name,
                "a new name",
                "",
            )
