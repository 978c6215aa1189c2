"""What a CLIP model relies on: its latent components, their names, and what they do to predictions.

import reliance
study = reliance.open("results/demo")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reliance.explore.study import Study

__version__ = "0.1.0"


def open(folder: str | Path) -> Study:  # noqa: A001 - read as reliance.open
    """A built variant by its folder, read lazily; see `reliance.explore.study.Study`."""
    from reliance.explore.study import open_study

    return open_study(folder)
