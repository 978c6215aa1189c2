"""Embeddings of another run, which are used only if they were made as this run would make them."""

import json
import os
from functools import lru_cache
from typing import Any

from reliance.base.errors import RelianceError
from reliance.config.models import Config

MISSING = {"jpeg_decoding": "exact"}  # what is meant by a key that a stamp does not have


def check_borrowed(where: str, manifest: str, config: Config) -> None:
    """Raise RelianceError if a manifest says that its images were read or computed in another way.

    where : the key of the configuration. A manifest that cannot be read is left to the job that reads it.
    """
    made = _params(manifest, os.stat(manifest).st_mtime_ns)
    if made is None:
        return
    asked = {
        "embedding.precision": config.embedding.precision,
        "embedding.jpeg_decoding": config.embedding.jpeg_decoding,
        "images.apply_exif": config.images.apply_exif,
    }
    for key, value in asked.items():
        name = key.partition(".")[2]
        found = made.get(name, MISSING.get(name, value))
        if found != value:
            raise RelianceError(
                where,
                "embeddings of another run are used if they were made as this run would make them",
                found=f"{name}: {found} in {manifest}",
                allowed=f"{key}: {value}, as this configuration says",
                next_step=f"set {key} to what the other run had, or leave embeddings_from out",
            )


@lru_cache
def _params(manifest: str, changed: int) -> dict[str, Any] | None:
    try:
        with open(manifest, encoding="utf-8") as stream:
            return dict(json.load(stream)["reliance"]["params"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
