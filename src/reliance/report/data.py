"""What is to be known of a data set before its numbers are read: what stages told while they ran."""

from reliance.base.artifacts import read_json
from reliance.base.stamps import read_about
from reliance.explore.tables import Tables
from reliance.images.foresight import KIND, SCHEMA


def known_of_data(study: Tables) -> list[str]:
    """Sentences of the index and of the check of this variant, each once."""
    about = read_about(study.path("index"))
    lines: list[str] = [
        *about.get("told", []),
        *read_json(study.path("checked"), KIND, SCHEMA)[0]["warnings"],
    ]
    if others := about.get("no_images"):
        kinds = ", ".join(f"{n:,} {suffix}" for suffix, n in others.items())
        lines.append(f"files that are no images by their endings were left out: {kinds}")
    return list(dict.fromkeys(lines))
