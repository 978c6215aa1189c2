"""Stage `describe_variant`: where everything of a variant lies, as a file in its folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reliance.base.artifacts import derived_stamp, write_json

KIND, SCHEMA = "variant", 1


def describe_variant(
    *, description: Path, variant: str, files: Mapping[str, Any], about: Mapping[str, Any]
) -> None:
    """Write what a variant is and where its files lie.

    files : name -> path, list of paths, or a mapping of such, relative to the folder that jobs run in.
    about : name -> plain value: encoder, dataset, labeller, failures_from, prompt_set, sae.
    """
    record = {"variant": variant, "files": dict(files), "about": dict(about)}
    write_json(description, record, derived_stamp(KIND, SCHEMA, record, {}))
