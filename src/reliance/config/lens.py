"""The section `lens` of a variant: what is looked at inside its encoder. Off without it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from reliance.config.section import Positive, Section, UserPath

Above = Annotated[float, Field(gt=0, lt=1)]


class LensSettings(Section):
    """Which blocks' neurons, on how many images, and how they are described."""

    layers: Annotated[tuple[Annotated[int, Field(ge=-200, le=200)], ...], Field(min_length=1)]
    images: Positive = 5000
    keep: Literal["all", "strongest"] = "all"
    strongest: Annotated[int, Field(ge=20, le=10_000)] = 100
    dtype: Literal["float16", "float32"] = "float16"
    ln_mean: Literal["exact", "shared"] = "exact"
    significant: Annotated[tuple[Above, ...], Field(min_length=1)] = (0.005, 0.0195, 0.05, 0.1, 0.2)
    words: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1, 2, 4, 8, 16, 32)
    masks: UserPath | None = None
    generated: UserPath | None = None

    @model_validator(mode="after")
    def _each_once(self) -> "LensSettings":
        for name in ("layers", "significant", "words"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} has every value once, found {list(values)}")
        return self
