"""The table of sites: where in an encoder x can be read. A site is a row here, a module in encoders/sites/.

The module has SITE (or `site_at`, for a row of many places), and the entry points `embed_images` and, where
the rest of the model has a closed form, `export_head` of the jobs that read there. It is found by its name
when the workflow is planned, so that a new site never reruns the jobs of another.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

HEAD = ""  # the tail in closed form: head.safetensors
NETWORK = "reliance.tails.network:open_network"  # the tail that runs the blocks behind
PATCHES = "reliance.tails.patches:open_patches"  # the same with the patches moved, not the class token


class Place(NamedTuple):
    """A row of the table."""

    module: str  # where its SITE and entry points are
    meaning: str  # one line for people
    needs: tuple[str, ...] = ()  # parts that its encoders have, see encoders/families/family.py
    tail: str = HEAD  # entry point of what opens the rest of the model, HEAD for the closed form
    pattern: str = ""  # of its names, where it stands for many places

    def entry(self, function: str) -> str:
        """The entry point of a stage at this site, "module:function"."""
        return f"{self.module}:{function}"


DEFAULT = "class_token"
OF_LABELLERS = "embedding"  # where models that only give names are read
AT_BLOCK = re.compile(r"block(-?(?:0|[1-9]\d{0,2}))(-patches)?")
_BLOCK = AT_BLOCK.pattern.partition("(-patches)")[0].replace("(-", "(?:-", 1)
TOKENS = {"class": "", "patches": "-patches"}  # of a block, as their names end
SITES = {
    "class_token": Place(
        "reliance.encoders.sites.class_token", "the class token after the last block", ("norm", "proj")
    ),
    "embedding": Place("reliance.encoders.sites.embedding", "the image embedding itself"),
    "block": Place(
        "reliance.encoders.sites.block",
        "the class token after block l, from 0, or from the end: -2 is the last but one",
        ("norm", "proj"),
        NETWORK,
        _BLOCK,
    ),
    "patches": Place(
        "reliance.encoders.sites.patches",
        "the patch tokens after block l, codes pooled over an image",
        ("norm", "proj"),
        PATCHES,
        f"{_BLOCK}-patches",
    ),
}


def kind_of(site: str) -> str:
    """The row of a site by its name in paths; the name itself if it is of no row."""
    match = AT_BLOCK.fullmatch(site)
    return site if not match else "patches" if match[2] else "block"


def block_of(site: str) -> int | None:
    """l of a site behind a block, None for other sites."""
    match = AT_BLOCK.fullmatch(site)
    return int(match[1]) if match else None


def named(site: Any) -> Any:
    """The name of a site as the configuration has it: a name, or {block: l, token: class | patches}.

    Raises ValueError for a block that is no place of its own. Other values are left to who checks them.
    """
    if not isinstance(site, Mapping):
        if site in ("block", "patches", "block-1", "block-1-patches"):
            raise ValueError("write {block: l}, l from 0, or from -2 down; behind the last: class_token")
        return site
    block, token = site.get("block"), site.get("token", "class")
    if isinstance(block, str) and re.fullmatch(r"-?\d+", block):  # as --config hands on what is nested
        block = int(block)
    wrong = set(site) - {"block", "token"} or token not in TOKENS or type(block) is not int
    if wrong or not AT_BLOCK.fullmatch(f"block{block}"):
        raise ValueError(f"a site behind a block is {{block: l, token: class | patches}}, found {dict(site)}")
    if block == -1 and token == "patches":
        raise ValueError(
            "patches behind the last block, which is block -1, do not reach the output: only the class token "
            "does; write {block: -2, token: patches}"
        )
    if block == -1:
        raise ValueError("behind the last block, which is block -1, write site: class_token")
    return f"block{block}{TOKENS[token]}"


def rule_of(stage: str, site: str) -> str:
    """The rule of a stage at a site: sites other than the usual one have rules of their own."""
    return stage if site == DEFAULT else f"{stage}_{kind_of(site)}"
