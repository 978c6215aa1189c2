"""The configuration as the stages ask for it: by the names that folders have, with one clear error each."""

import os
import re
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, NoReturn

from pydantic import BaseModel

from reliance.base.errors import RelianceError
from reliance.config.models import ClipTraining, Config, Dataset, Encoder, ExternalList, Planted
from reliance.config.read_at import site_of_labeller
from reliance.config.resolve import Resolved, check_file, dataset_of, known, resolve
from reliance.config.sae import SaeImport, SaeTraining
from reliance.config.sites import HEAD, SITES, kind_of
from reliance.config.stages import AuditSettings
from reliance.encoders.registry import tower_size
from reliance.plan import paths
from reliance.plan.borrowed import check_borrowed
from reliance.plan.paths import at, base_name, rehearsed
from reliance.units.sae.kinds import DEFAULT

Placing = Callable[[str], str]  # a path as something else sees it


class Plan:
    """A checked configuration, and where its paths lie.

    place : turns a path of ours into the one that a job sees; they differ in a module with a prefix.
    keep : marks a file that stays on the disk, if results lie elsewhere (`remote`).
    Every method raises RelianceError for a name that the configuration does not have.
    """

    def __init__(self, config: Config, place: Placing = str, keep: Placing | None = None) -> None:
        self.config, self.remote = config, keep is not None
        self._place, self._keep = place, keep or str
        self.variant: Callable[[str], Resolved] = lru_cache(None)(lambda name: resolve(config, name))
        self.dataset: Callable[[str], Dataset] = lru_cache(None)(lambda name: dataset_of(config, name))
        self.labelled: Callable[[str], bool] = lru_cache(None)(self._labelled)

    @cached_property
    def compute(self) -> dict[str, Any]:
        """Where a job computes."""
        return {"device": self.config.compute.device, "threads": self.config.compute.threads}

    @property
    def gpu(self) -> bool:
        """Whether jobs may use a GPU."""
        return self.config.compute.device != "cpu"

    # ---- paths

    def placed(self, path: str) -> str:
        """A path of ours as a job sees it, for settings: Snakemake places inputs and outputs itself."""
        return str(self._place(path))

    def users(self, path: str) -> str:
        """A user's path as an input: it stays where it is, whatever prefix ours get."""
        return self._keep(path if self.placed(path) == path else os.path.abspath(path))

    def path(self, pattern: str, variant: str, **names: str) -> str:
        """A file of a variant, of its encoder, or of its data set."""
        v = self.variant(variant)
        return at(pattern, **{**_of(variant, v), **names})

    def embeddings(self, encoder: str, site: str, dataset: str, split: str) -> str:
        """Manifest of a split's embeddings; of another run's if the encoder's `embeddings_from` names one."""
        path = at(paths.EMBEDDINGS, encoder=encoder, site=site, dataset=dataset, split=split)
        folder = self.encoder(encoder).embeddings_from
        if folder is None:
            return path
        other = f"{folder}{path.removeprefix('results')}"
        check_file(f"encoders.{encoder}.embeddings_from", other)
        check_borrowed(f"encoders.{encoder}.embeddings_from", other, self.config)
        return self.users(other)

    def embedded(self, variant: str, split: str) -> str:
        """The same of a variant's encoder on its data set."""
        v = self.variant(variant)
        return self.embeddings(v.encoder, v.site, v.dataset, split)

    def root(self, dataset: str) -> str | None:
        """Folder below which the paths of a data set's index lie."""
        if self.is_external(dataset):
            return self.config.external_lists[dataset].root
        d = self.dataset(dataset)
        return self.placed(at(paths.IMAGES, dataset=base_name(dataset))) if d.planted else d.root

    # ---- encoders and data sets

    def encoder(self, name: str) -> Encoder:
        """An encoder."""
        known("encoders", name, self.config.encoders, where=f"results/encoders/{name}")
        return self.config.encoders[name]

    def untrained(self, variant: str) -> bool:
        """Whether a variant's encoder has random weights."""
        return self.encoder(self.variant(variant).encoder).weights == "random"

    def size(self, variant: str) -> float:
        """Size of the image tower of a variant's encoder in millions of weights; 0: unknown, or random."""
        encoder = self.encoder(self.variant(variant).encoder)
        return 0.0 if encoder.weights == "random" else tower_size(encoder.architecture or "")

    def training(self, encoder: str) -> ClipTraining:
        """How a small CLIP is trained."""
        training = self.encoder(encoder).training
        return training or _refuse(
            f"results/encoders/{encoder}",
            "only an encoder with the section 'training' is trained here",
            found="no such section",
            allowed="an encoder with a section 'training'",
            next_step="ask for weights.json instead, which every encoder has",
        )

    def planted(self, dataset: str) -> Planted:
        """The world of a planted data set."""
        d = self.dataset(dataset)
        return d.planted or _refuse(
            f"results/datasets/{dataset}",
            "only planted data is drawn and has a truth",
            found=f"layout: {d.layout}",
            allowed="a data set with layout: planted",
            next_step="ask for another file, or for this one of a variant on planted data",
        )

    def parts(self, dataset: str) -> int:
        """Number of parts a split of a data set is divided into."""
        return 1 if self.is_external(dataset) else self.dataset(dataset).parts

    def _labelled(self, dataset: str) -> bool:
        """Whether a data set has classes, as far as its folder shows; `labelled` asks it once."""
        if self.is_external(dataset):
            return True
        d = self.dataset(dataset)
        if d.layout in ("imagenet", "isic", "planted") or d.root is None:
            return True
        from reliance.images.layouts import Looking, labelled  # with pandas: only where a folder is looked at

        fields = d.fields.model_dump() if d.fields else None
        return labelled(d.layout, d.root, Looking(self.config.images.follow_links, fields))

    def vocabulary(self, dataset: str) -> str:
        """What components of a data set can be called.

        Without a word of the user it is a general one for own images, whose few classes describe little of
        what is in them.
        """
        d = self.dataset(dataset)
        return d.vocabulary or ("classes" if d.layout in ("imagenet", "isic", "planted") else "general")

    def asked(self, dataset: str) -> str | tuple[str, ...]:
        """What hidden concepts of a data set are held against: a vocabulary's name, or names.

        Nothing: the names that its components have anyway.
        """
        hidden = self.config.hidden
        return hidden.prompts or hidden.vocabulary or self.dataset(dataset).expected

    def check_classes(self, dataset: str) -> None:
        """Raise RelianceError if a data set has no classes, which what is asked for needs."""
        if not self.labelled(dataset):
            _refuse(
                f"datasets.{base_name(dataset)}.root",
                "outputs, cases and probes are about classes: this file needs images in class folders",
                found=f"images without class folders below {self.root(dataset)}",
                allowed="without classes: report.html, components.parquet, top_samples.parquet, fig9.pdf",
                next_step="ask for results/{variant}/report.html, which shows what there is without classes; "
                "or put the images into folders named for what they show",
            )

    # ---- variants

    def without_classes(self, wanted: bool) -> str:
        """Pattern of the variants on data that has no classes (wanted), or of all others."""
        names = [name for name, v in self.config.variants.items() if not self.labelled(v.dataset)]
        if wanted:
            return f"({'|'.join(map(re.escape, names)) or '(?!)'})(\\.n\\d+)?"
        return "".join(f"(?!{re.escape(n)}(\\.n\\d+)?/)" for n in names) + paths.CONSTRAINTS["variant"]

    def sae(self, variant: str) -> SaeTraining | SaeImport:
        """A variant's SAE."""
        return self.variant(variant).sae or _refuse(
            f"variants.{base_name(variant)}.sae",
            f"this file of results/{variant} needs an SAE",
            found="the variant has none: it is only benchmarked",
            allowed="a section such as  sae: {preset: default}",
            next_step="give the variant one, or ask for its report.html, fig5, fig12, fig13, fig14 or table1",
        )

    def of_kind(self, kind: str, patches: bool | None = None) -> str:
        """Pattern of the variants whose SAE is of a kind, all, or those that are of patches, or not.

        The default kind has all that no other has: a wrong name reaches its clear error.
        """
        own, apart = self.config.variants.items(), "@patches" if patches is not None else ""
        kinds = {n: sae.kind + apart * v.patches for n, v in own if (sae := self.config.sae_of(n))}
        return pattern(kinds, kind + apart * bool(patches), DEFAULT)

    def behind(self, tail: str) -> str:
        """Pattern of the variants with a tail behind their site; the closed form has all others."""
        variants = self.config.variants.items()
        return pattern({name: SITES[kind_of(v.site)].tail for name, v in variants}, tail, HEAD)

    def labeller(self, variant: str) -> str:
        """The labeller of a variant, which every variant with an SAE has."""
        self.sae(variant)
        return str(self.variant(variant).labeller)

    def labelled_at(self, variant: str) -> str:
        """The site that the labeller of a variant is read at."""
        v = self.variant(variant)
        return site_of_labeller(self.config, self.labeller(variant), v.encoder, v.site)

    def audit(self, variant: str) -> AuditSettings:
        """The audit of a variant."""
        return self.variant(variant).audit or _refuse(
            f"results/{variant}",
            "a variant is audited if its section audit says which classes",
            found="no such section",
            allowed="a variant with an SAE and a section audit",
            next_step=f"run again with --config 'variants={{{base_name(variant)}: {{audit: {{positive: "
            "[CLASS]}}}', or write it there; config/config.yaml explains its keys",
        )

    # ---- lists of cases

    def is_external(self, name: str) -> bool:
        """Whether a data set's name is that of a list of cases found elsewhere."""
        return name in self.config.external_lists

    def external(self, name: str) -> ExternalList:
        """A list of cases found elsewhere."""
        known("external_lists", name, self.config.external_lists, where=f"results/datasets/{name}/cases.tsv")
        return self.config.external_lists[name]

    def lists(self, variant: str) -> tuple[list[str], list[str], list[str]]:
        """External lists of a variant that can be read: planted data sets, folders with a root, tables.

        Tables name images of the whole data set, so a rehearsal leaves them out.
        """
        v, lists = self.variant(variant), self.config.external_lists
        planted = [v.dataset] if self.dataset(v.dataset).planted else []
        folders = [e for e in v.external if lists[e].root]
        tables = [e for e in v.external if lists[e].failures and not rehearsed(variant)]
        return planted, folders, tables

    def sources(self, variant: str) -> list[str]:
        """Where the cases of each of these lists come from, in the same order."""
        planted, folders, tables = self.lists(variant)
        return ["planted"] * len(planted) + [self.config.external_lists[e].source for e in folders + tables]

    def skipped(self, variant: str) -> list[str]:
        """External lists of a variant that have no folder or tables, or that a rehearsal leaves out."""
        _, folders, tables = self.lists(variant)
        return [e for e in self.variant(variant).external if e not in folders + tables]

    # ---- comparisons

    def comparison(self, name: str) -> list[str]:
        """The variants of a comparison; a rehearsal suffix holds for all of them."""
        base = base_name(name)
        known("comparisons", base, self.config.comparisons, where=f"results/compare/{name}")
        return [member + name[len(base) :] for member in self.config.comparisons[base]]

    def with_sae(self, comparison: str) -> list[str]:
        """The variants of a comparison that have an SAE."""
        names = [name for name in self.comparison(comparison) if self.variant(name).sae]
        return names or _refuse(
            f"comparisons.{base_name(comparison)}",
            "this figure compares components",
            found="no variant with an SAE",
            allowed="at least one variant with a section sae",
            next_step="give one an SAE, or ask for fig5 or fig14, which need none",
        )


def pattern(kinds: dict[str, str], kind: str, default: str) -> str:
    """Pattern of the variants of a kind; those of the default kind are all but the others."""
    if kind == default:
        others = [re.escape(name) for name, own in kinds.items() if own != default]
        return "".join(f"(?!{name}(\\.n\\d+)?/)" for name in others) + paths.CONSTRAINTS["variant"]
    chosen = [re.escape(name) for name, own in kinds.items() if own == kind]
    return f"({'|'.join(chosen) or '(?!)'})(\\.n\\d+)?"


def _of(variant: str, v: Resolved) -> dict[str, str]:
    return {"variant": variant, "encoder": v.encoder, "site": v.site, "dataset": v.dataset}


def some(section: BaseModel, *names: str) -> dict[str, Any]:
    """Some values of a section of the configuration."""
    return section.model_dump(include=set(names))


def _refuse(where: str, rule: str, *, found: str, allowed: str, next_step: str) -> NoReturn:
    raise RelianceError(where, rule, found=found, allowed=allowed, next_step=next_step)
