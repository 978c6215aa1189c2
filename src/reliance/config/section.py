"""What every section of the configuration is made of."""

import os
from types import NoneType
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

INT32_MAX = 2**31 - 1
Positive = Annotated[int, Field(ge=1, le=INT32_MAX)]
UserPath = Annotated[str, AfterValidator(os.path.expanduser)]  # ~ is the home of whoever runs it
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=64)]


class Section(BaseModel):
    """A part of the configuration: read-only, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _nothing(cls, values: Any) -> Any:
        """Snakemake hands the null of --config 'a={b: null}' over as a word."""
        if not isinstance(values, dict):
            return values
        optional = {n for n, field in cls.model_fields.items() if NoneType in get_args(field.annotation)}
        return {k: None if v == "null" and k in optional else v for k, v in values.items()}
