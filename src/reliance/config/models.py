"""The configuration as frozen models; every key is explained in config/config.yaml.

Planning reads it; jobs get plain values.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from reliance.config import sites
from reliance.config.lens import LensSettings
from reliance.config.sae import SaeImport, SaeTraining
from reliance.config.section import INT32_MAX, Name, Positive, Section, UserPath
from reliance.config.stages import (
    AuditSettings,
    Failures,
    Faithfulness,
    Galleries,
    Hidden,
    Matching,
    Naming,
    Probe,
    Prompt,
    Repair,
    Transform,
)

REHEARSAL = re.compile(r"(?P<name>[a-z0-9_]+)(?:\.n(?P<n>[1-9][0-9]{0,8}))?")
FOLDER_NAMES = "folders"  # as `names` of a data set: no names.csv is read, not even one in the root
LOCAL = "local-dir:"
RESERVED = ("compare", "datasets", "encoders", "logs", "benchmarks")


class Compute(Section):
    """Where and how jobs run."""

    device: Literal["auto", "cpu", "cuda"]
    threads: Annotated[int, Field(ge=1, le=1024)]
    block_rows: Positive


class Images(Section):
    """How image files are read."""

    apply_exif: bool
    max_invalid: Annotated[float, Field(ge=0)]
    max_pixels: Positive
    follow_links: bool = True


class Embedding(Section):
    """How images are embedded and stored."""

    dtype: Literal["float16", "float32"]
    precision: Literal["fp32", "bf16", "fp16"]
    jpeg_decoding: Literal["exact", "reduced"] = "exact"
    batch_size: Positive
    workers: Annotated[int, Field(ge=0, le=1024)]
    chunk_rows: Positive
    tokens_per_image: Annotated[int, Field(ge=1, le=65535)] = 8


class Preprocess(Section):
    """Image preprocessing of an encoder whose weights do not bring their own."""

    size: Annotated[int, Field(ge=1, le=4096)]
    mean: tuple[float, float, float]
    std: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"


class ClipTraining(Section):
    """A small CLIP trained on the captioned pool of a planted data set."""

    dataset: Name
    captions: Literal["ambiguous", "plain"]
    steps: Positive
    pool: Positive
    batch_size: Positive
    seed: Annotated[int, Field(ge=0, le=INT32_MAX)]
    blocks: Annotated[int, Field(ge=2, le=12)] = 2  # of its image tower

    @model_validator(mode="after")
    def _pool_fills_a_batch(self) -> "ClipTraining":
        if self.pool < self.batch_size:
            raise ValueError(f"pool must be at least batch_size, found {self.pool} < {self.batch_size}")
        return self


class Encoder(Section):
    """A CLIP model: its architecture and exactly one source of weights."""

    architecture: str | None = None
    pretrained: str | None = None
    file: UserPath | None = None
    weights: Literal["random"] | None = None
    training: ClipTraining | None = None
    halfway_of: Name | None = None
    role: Literal["encoder", "labeller"] = "encoder"
    preprocess: Preprocess | None = None
    embeddings_from: UserPath | None = None
    note: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _local_folder(cls, value: Any) -> Any:
        """local-dir:FOLDER, as open_clip writes it, is the folder as `file`."""
        name = value.get("architecture") if isinstance(value, dict) else None
        if isinstance(name, str) and name.startswith(LOCAL) and value.get("file") is None:
            return {**value, "architecture": None, "file": name.removeprefix(LOCAL)}
        return value

    @model_validator(mode="after")
    def _one_source(self) -> "Encoder":
        own = [k for k in ("training", "halfway_of", "weights", "file") if getattr(self, k) is not None]
        hub = (self.architecture or "").startswith("hf-hub:")
        if len(own) > 1:
            raise ValueError(f"one source of weights is allowed, found {' and '.join(own)}")
        if self.pretrained is not None and own not in ([], ["file"]):
            raise ValueError(f"pretrained goes alone or with a file, found {own[0]}")
        if not own and self.pretrained is None and not hub:
            raise ValueError("a source of weights is needed: pretrained, file, or weights: random")
        if self.architecture is None and not (self.training or self.halfway_of or self.file):
            raise ValueError("architecture is needed (an open_clip name or an hf-hub: id)")
        return self


class Planted(Section):
    """A drawn world with planted failures."""

    world: Literal["objects", "lesions"] = "objects"
    seed: Annotated[int, Field(ge=0, le=INT32_MAX)]
    classes: Annotated[int, Field(ge=2, le=55)]
    red: Annotated[float, Field(ge=0, le=1)] | None = None
    shortcut: Annotated[float, Field(ge=0, le=1)] | None = None
    train_per_class: Positive
    test_per_class: Positive

    @model_validator(mode="after")
    def _shape_fits_the_world(self) -> "Planted":
        lesions = self.world == "lesions"
        low, high = (2, 2) if lesions else (8, 55)
        if not low <= self.classes <= high:
            raise ValueError(f"classes of the world {self.world}: {low} to {high}, found {self.classes}")
        if any((share is not None) != lesions for share in (self.red, self.shortcut)):
            raise ValueError("world: lesions goes with red and shortcut, and no other world does")
        return self


class Split(Section):
    """How a folder without splits is divided."""

    test: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0, le=INT32_MAX)] = 0


class Fields(Section):
    """What the columns of parquet files, or the entries of a shard's .json, are called."""

    image: str = "image"
    label: str = "label"
    split: str | None = None
    name: str | None = None
    caption: str | None = None


class Dataset(Section):
    """Images to look at."""

    layout: Literal["imagenet", "folder", "planted", "isic", "parquet", "webdataset", "zip"]
    root: UserPath | None = None
    planted: Planted | None = None
    split: Split | None = None
    fields: Fields | None = None
    names: UserPath | None = None
    groups: UserPath | None = None
    captions: UserPath | None = None
    parts: Annotated[int, Field(ge=1, le=10_000)] = 1
    vocabulary: str | None = None  # None: general for own images, else classes
    expected: tuple[Prompt, ...] = ()  # what hidden concepts are held against; none: the vocabulary
    per_class: Positive | None = None

    @field_validator("per_class")
    @classmethod
    def _set_by_name_only(cls, value: int | None) -> int | None:
        if value is not None:
            raise ValueError(
                "write .n{N} behind the variant's name instead, as in results/vit_b16.n20/fig5.pdf"
            )
        return value

    @model_validator(mode="after")
    def _layout_fits(self) -> "Dataset":
        if (self.layout == "planted") != (self.planted is not None):
            raise ValueError("layout: planted and the section planted go together")
        if self.layout == "planted" and self.root is not None:
            raise ValueError("planted data has no root: it is drawn by the pipeline")
        if self.layout == "planted" and (self.names or self.groups or self.captions) is not None:
            raise ValueError("planted data brings its own names, and has no groups or captions")
        if self.split is not None and self.layout in ("imagenet", "planted"):
            raise ValueError(f"split is for layout: folder and others, and {self.layout} brings its own")
        if self.fields is not None and self.layout not in ("parquet", "webdataset"):
            raise ValueError("fields is for layout: parquet and webdataset, which have columns or entries")
        return self


class ExternalList(Section):
    """Failure cases found elsewhere, scored beside the mined ones."""

    dataset: Name
    source: Literal["neuhaus", "user"]
    kind: Literal["polysemous", "compound", "typography", "spurious", "lookalike", "other"] | None = None
    root: UserPath | None = None
    failures: UserPath | None = None
    samples: UserPath | None = None

    @model_validator(mode="after")
    def _one_form(self) -> "ExternalList":
        if (self.failures is None) != (self.samples is None) or (self.root and self.failures):
            raise ValueError(
                "give either root (a folder of images per case) or failures and samples (tables)"
            )
        if self.failures and self.kind:
            raise ValueError("kind is for a folder of cases; tables have a column kind")
        return self


class Variant(Section):
    """One model on one data set: a folder under results/."""

    encoder: Name
    site: Annotated[str, WithJsonSchema({"type": ["string", "object"]})] = sites.DEFAULT
    dataset: Name
    labeller: Name | None = None
    sae: dict[str, Any] | None = None
    pooling: Literal["max", "mean"] = "max"  # of the codes of patches
    train_on: tuple[str, ...] | None = None
    failures_from: Name | None = None
    failures: dict[str, Any] = Field(default_factory=dict)
    external: tuple[Name, ...] = ()
    audit: AuditSettings | None = None
    lens: LensSettings | None = None

    _site = field_validator("site", mode="before")(sites.named)

    @property
    def patches(self) -> bool:
        """Whether it is of the patches of images."""
        return sites.kind_of(self.site) == "patches"


class Config(Section):
    """The whole configuration."""

    compute: Compute
    images: Images
    embedding: Embedding
    templates: Annotated[tuple[Prompt, ...], Field(min_length=1)]
    encoders: dict[Name, Encoder]
    datasets: dict[Name, Dataset]
    external_lists: dict[Name, ExternalList]
    vocabularies: dict[Name, UserPath]
    sae_presets: dict[Name, SaeTraining]
    naming: Naming
    failures: Failures
    probe: Probe
    faithfulness: Faithfulness
    hidden: Hidden
    matching: Matching = Matching()
    repair: Repair = Repair()
    galleries: Galleries
    transforms: dict[Name, Transform]
    variants: dict[Name, Variant]
    comparisons: dict[Name, tuple[Name, ...]]

    @field_validator("templates")
    @classmethod
    def _hold_a_name(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for template in value:
            if template.count("{}") != 1:
                raise ValueError(f"a template holds {{}} exactly once, found {template!r}")
        return value

    def sae_of(self, variant: str) -> SaeTraining | SaeImport | None:
        """The variant's SAE: an imported one, or its preset with the variant's own values on top."""
        chosen = self.variants[variant].sae
        if chosen is None:
            return None
        if "import" in chosen:
            return SaeImport.model_validate(chosen)
        values = dict(chosen)
        preset = self.sae_presets[values.pop("preset")]
        return SaeTraining.model_validate({**preset.model_dump(), **values})

    def failures_of(self, variant: str) -> Failures:
        """The thresholds of a variant: the section `failures` with the variant's own values on top."""
        return Failures.model_validate({**self.failures.model_dump(), **self.variants[variant].failures})
