"""Stage `gather_embeddings`: the parts of an embedded split become one, if enough images were readable."""

import logging
from collections.abc import Sequence
from pathlib import Path

from reliance.base.errors import RelianceError, run_again
from reliance.base.rows import write_manifest
from reliance.base.writing import atomic
from reliance.config.sites import rule_of
from reliance.encoders.stored import KIND, Embeddings
from reliance.images.slices import paths_of
from reliance.images.tables import tolerated

log = logging.getLogger(__name__)


def gather_embeddings(
    *, parts: Sequence[Path], manifest: Path, max_invalid: float = 0.001, index: Path | None = None
) -> None:
    """Gather the parts of a split into its manifest.

    parts : inputs in order. manifest : output, beside them.
    max_invalid : unreadable images that are tolerated: a share below 1 (then at least one image),
        or a count from 1 on; 0 tolerates none.
    index : the index, only to name the files in the error.
    Raises RelianceError if more images are unreadable, listing the first.
    """
    with atomic(manifest) as temporary:
        write_manifest(temporary, parts, KIND)
        found = Embeddings(temporary)
        limit = tolerated(max_invalid, found.rows)
        if len(found.excluded) > limit:
            split = found.stamp.params["split"]
            rows = [row for row, _ in found.excluded[:5]]
            names = paths_of(index, split, rows) if index else [f"image {row}" for row in rows]
            first = [f"{name} ({reason})" for name, (_, reason) in zip(names, found.excluded, strict=False)]
            raise RelianceError(
                "images.max_invalid",
                f"at most {limit:g} images of split '{split}' may be unreadable",
                found=f"{len(found.excluded)} of {found.rows}: {', '.join(first)}",
                allowed=f"max_invalid = {max_invalid:g} (below 1 a share, and at least one image is "
                "tolerated; from 1 on a number of images)",
                next_step="repair or replace the files, then embed them again: "
                f"{run_again(rule_of('embed_images', found.site))}; "
                "if they are rightly left out, raise images.max_invalid",
            )
    log.info("%d images, %d unreadable", found.rows, len(found.excluded))
