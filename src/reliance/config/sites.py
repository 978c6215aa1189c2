"""The table of sites: where in an encoder x can be read. A site is a row here, a module in encoders/sites/.

The module has SITE, and the entry points `embed_images` and `export_head` of the jobs that read there. It is
found by its name when the workflow is planned, so that a new site never reruns the jobs of another.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """A row of the table."""

    module: str  # where its SITE and entry points are
    meaning: str  # one line for people
    needs: tuple[str, ...] = ()  # parts that its encoders have, see encoders/families/family.py

    def entry(self, function: str) -> str:
        """The entry point of a stage at this site, "module:function"."""
        return f"{self.module}:{function}"


DEFAULT = "class_token"
OF_LABELLERS = "embedding"  # where models that only give names are read
SITES = {
    "class_token": Place(
        "reliance.encoders.sites.class_token", "the class token after the last block", ("norm", "proj")
    ),
    "embedding": Place("reliance.encoders.sites.embedding", "the image embedding itself"),
}


def rule_of(stage: str, site: str) -> str:
    """The rule of a stage at a site: sites other than the usual one have rules of their own."""
    return stage if site == DEFAULT else f"{stage}_{site}"
