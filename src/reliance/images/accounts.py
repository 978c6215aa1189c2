"""Everything that lies below a data set's root is accounted for: read, left out for a reason, or no image."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from reliance.base.errors import RelianceError, printable
from reliance.base.telling import mention, tell
from reliance.images.scan import Scanner
from reliance.images.tables import tolerated

log = logging.getLogger(__name__)
NO_IMAGE = "in the ground truth, but there is no such image"


def check_lost(scanner: Scanner, listed: int, max_invalid: float) -> None:
    """Raise RelianceError if more images are left out than `max_invalid` tolerates; say it if fewer are.

    listed : images that are in the index. What was left out because a table says so does not count.
    """
    lost = len(scanner.lost)
    if not lost:
        return
    reasons = Counter(reason for path, reason in set(scanner.left_out) if path in scanner.lost)
    first = next(printable(path) for path, _ in sorted(scanner.left_out) if path in scanner.lost)
    words = "; ".join(f"{n}: {reason}" for reason, n in reasons.most_common(5))
    found = f"{lost} of {lost + listed} are left out ({words}), such as {first}"
    if lost <= tolerated(max_invalid, lost + listed):
        tell(log, "%s: %s", scanner.where, found)
        return
    raise RelianceError(
        f"images.max_invalid: {scanner.where}",
        "nearly all images of a data set can be read",
        found=found,
        allowed=f"max_invalid = {max_invalid:g} (below 1 a share, and at least one image is tolerated)",
        next_step=f"{_advice(set(reasons))}; or, if that is right, raise images.max_invalid to {lost}",
    )


def about(scanner: Scanner) -> dict[str, Any]:
    """What else was found, for the page: files that are no images by suffix, and lines that were told."""
    others = dict(sorted(scanner.others.items(), key=lambda item: (-item[1], item[0])))
    return {k: v for k, v in {"no_images": others, "told": scanner.told}.items() if v}


def count(scanner: Scanner, splits: Mapping[str, int], classes: int) -> None:
    """Tell how many images were found, and what else lies there that is passed over.

    splits : number of images in each.
    """
    parts = ", ".join(f"{n:,} {split}" for split, n in sorted(splits.items(), key=lambda item: -item[1]))
    found = f"{sum(splits.values()):,} images ({parts})" + (f" in {classes:,} classes" if classes else "")
    others = [f"{n} {suffix}" for suffix, n in scanner.others.most_common(5)]
    others += [printable(path) for path in sorted(scanner.of_systems)[:3]]
    others += [f"{more} more of the system's" for more in [len(scanner.of_systems) - 3] if more > 0]
    mention(log, "%s", found + (f"; no images, and passed over: {', '.join(others)}" if others else ""))


def _advice(reasons: set[str]) -> str:
    """What to do about images that were left out."""
    steps = {
        "are not read": "convert images of other formats to JPEG or PNG",
        "does not end": "give the files the ending of their format",
        "link": "put the images themselves below the root, or mount what the links lead to",
        NO_IMAGE: "compare the names in the table with those of the files (without their endings)",
        "lies beside": "move images into class folders, or out of the root",
        "UTF-8": "rename the files",
    }
    chosen = [step for words, step in steps.items() if any(words in reason for reason in reasons)]
    return "; ".join(chosen) or "look at the reasons"
