"""Sections of the configuration that say how stages work; models.py puts all of them together."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from reliance.base.text import ONE_LINE, refuse_truth, unfit
from reliance.config.section import INT32_MAX, Positive, Section, UserPath

Share = Annotated[float, Field(ge=0, le=1)]
PromptSet = Literal["short", "templated", "extended", "both"]


def _one_line(text: str) -> str:
    if problem := unfit(text):
        raise ValueError(f"{ONE_LINE}, found {problem}")
    return text


ClassName = Annotated[int | str, BeforeValidator(refuse_truth)]  # a folder, a short name or an id
Prompt = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]


class Naming(Section):
    """Strongest images, labels and clarity of components."""

    stored: Positive
    top_n: Annotated[int, Field(ge=2, le=INT32_MAX)]
    min_active: Annotated[int, Field(ge=2, le=INT32_MAX)]
    draws: Annotated[int, Field(ge=1, le=1000)]
    near: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _enough_stored(self) -> "Naming":
        if self.stored < max(self.top_n, 20):
            raise ValueError(f"stored must be at least 20 and at least top_n, found {self.stored}")
        return self


class Failures(Section):
    """When reliance on a component counts as unexpected."""

    prompt_set: PromptSet
    relevance: Literal["act_x_grad", "ablation"]
    contrastive: bool = False
    every_nth: Positive
    min_z: Annotated[float, Field(ge=0)]
    min_samples: Positive
    confidence_std: Annotated[float, Field(ge=0)]
    min_relevance: Annotated[float, Field(ge=0)]
    max_q: Share | None
    max_cases_per_class: Annotated[int, Field(ge=1, le=3)]
    overlap: Share


class Faithfulness(Section):
    """How deletion and insertion curves are drawn from images."""

    classes: Positive
    per_class: Positive
    steps: Positive
    path_steps: Positive
    reference: Positive
    subsets: Annotated[int, Field(ge=2, le=INT32_MAX)]
    seed: Annotated[int, Field(ge=0, le=INT32_MAX)]


class Hidden(Section):
    """When a component counts as a concept that nobody would expect."""

    vocabulary: str | None
    prompts: tuple[Prompt, ...]
    min_relevance: Annotated[float, Field(ge=0)]
    max_alignment: float | None
    min_activation: float | None
    bands: tuple[Annotated[float, Field(ge=-1, le=1)], Annotated[float, Field(ge=-1, le=1)]]

    @model_validator(mode="after")
    def _one_vocabulary(self) -> "Hidden":
        if self.vocabulary is not None and self.prompts:
            raise ValueError("give either vocabulary or prompts, not both")
        if self.bands[0] >= self.bands[1]:
            raise ValueError(f"bands ascend, found {self.bands[0]} and {self.bands[1]}")
        return self


class Galleries(Section):
    """How much the galleries show."""

    per_band: Positive
    images_per_component: Positive
    cases_per_kind: Positive
    images_per_case: Positive
    maps: bool = False


class Probe(Section):
    """The linear probe that text prompts are compared with."""

    kind: Literal["logistic", "ridge"] = "logistic"
    scale: Annotated[float, Field(gt=0)]
    c: Annotated[float, Field(gt=0)]
    max_iter: Positive


class Matching(Section):
    """How units of the variants of a comparison are found in each other."""

    split: Literal["train", "test"] = "train"
    images: Positive = 200_000
    shortlist: Annotated[int, Field(ge=1, le=1024)] = 16
    found_again: Annotated[float, Field(gt=0, le=1)] = 0.7


class Repair(Section):
    """How families are formed, what carries a case, and what is tried against it."""

    cuts: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1, max_length=5)] = (
        0.7,
        0.55,
        0.4,
    )
    shortlist: Annotated[int, Field(ge=1, le=1024)] = 16
    largest: Annotated[int, Field(ge=2, le=INT32_MAX)] = 50
    contrastive: bool = True
    min_hit_rate: Share = 0.33
    draws: Annotated[int, Field(ge=2, le=1000)] = 10
    most_loss: Share = 0.005
    seed: Annotated[int, Field(ge=0, le=INT32_MAX)] = 0

    @model_validator(mode="after")
    def _cuts_fall(self) -> "Repair":
        if any(b >= a for a, b in zip(self.cuts, self.cuts[1:], strict=False)):
            raise ValueError(f"cuts fall, found {list(self.cuts)}")
        return self


class Transform(Section):
    """A named change of images: one channel times 1 - delta, cut at 0 and 1 (Eq. 32)."""

    channel: Literal["red", "green", "blue", "all"]
    delta: Annotated[float, Field(ge=-100, le=1)]

    @model_validator(mode="after")
    def _changes_something(self) -> "Transform":
        if self.delta == 0:
            raise ValueError("delta must not be 0, which changes nothing")
        return self


class Intervention(Section):
    """Names of transforms that make the content of a component stronger, and perhaps weaker."""

    transform: str = "red_more"
    opposite: str | None = None


class GivenProbe(Section):
    """A linear classifier that somebody else trained, and how it wants image embeddings."""

    file: UserPath
    normalised: bool = True
    scale: Annotated[float, Field(gt=0)] = 1.0
    kind: Literal["logistic", "ridge"] = "logistic"

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        """A path is the file."""
        return {"file": value} if isinstance(value, str) else value


class AuditSettings(Section):
    """An audit of a linear probe that tells some classes from others."""

    positive: tuple[ClassName, ...] = ()
    probe: GivenProbe | None = None
    negative: Annotated[tuple[ClassName, ...], Field(min_length=1)] | None = None
    intervention: Intervention = Intervention(transform="red_more", opposite="red_less")
    positive_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    negatives: Positive = 4000
    test_on: Literal["test", "rest"] = "test"
    group: str | None = None
    seed: Annotated[int, Field(ge=0, le=INT32_MAX)] = 0
    component: Annotated[int, Field(ge=0, le=INT32_MAX)] | None = None
    candidates: Positive = 5
    toward: Literal["positive", "negative"] = "negative"
    low: float | None = None
    high: float | None = None
    alpha: Annotated[float, Field(gt=0)] = 0.5
    alphas: tuple[Annotated[float, Field(ge=0)], ...] = (0.0, 0.25, 0.5, 1.0)
    scale: Annotated[float, Field(gt=0)] = 10.0
    c: Annotated[float, Field(gt=0)] = 1.0

    @model_validator(mode="after")
    def _fits(self) -> "AuditSettings":
        if not self.positive and (self.probe is None or self.negative):
            raise ValueError("positive names at least one class; only probe may stand without classes")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low must not be above high, found {self.low} and {self.high}")
        if both := set(self.positive) & set(self.negative or ()):
            raise ValueError(f"a class is positive or negative, not both, found {sorted(map(str, both))}")
        if self.test_on == "rest" and self.positive_share == 1:
            raise ValueError("positive_share must be below 1 for test_on: rest, found 1")
        return self
