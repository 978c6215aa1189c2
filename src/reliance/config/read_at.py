"""Where the models of a configuration are read."""

from reliance.config.mistakes import invalid, nearest
from reliance.config.models import Config
from reliance.config.sites import DEFAULT, OF_LABELLERS, SITES, kind_of


def check_site(config: Config, name: str, here: str) -> None:
    """The site exists, and the model is one that can be read there."""
    variant = config.variants[name]
    if kind_of(variant.site) not in SITES:
        raise invalid(
            f"{here}.site",
            "a model is read at a site that is known",
            variant.site,
            " | ".join(name for name, row in SITES.items() if not row.pattern)
            + " | {block: l, token: class | patches}",
            nearest(variant.site, SITES),
        )
    if config.encoders[variant.encoder].role != "encoder" and variant.site != OF_LABELLERS:
        raise invalid(
            f"{here}.encoder",
            "a variant looks into a model whose role is encoder",
            f"{variant.encoder} has role labeller",
            f"an encoder with role: encoder, or site: {OF_LABELLERS}",
            f"use it under 'labeller' instead, or read it at site: {OF_LABELLERS}",
        )


def sites_of(config: Config, encoder: str) -> list[str]:
    """The sites that variants read an encoder at, sorted; none if it only gives names."""
    return sorted({variant.site for variant in config.variants.values() if variant.encoder == encoder})


def site_of_labeller(config: Config, labeller: str, encoder: str, site: str) -> str:
    """Where the labeller of a variant is read, whose encoder is read at a site.

    Only its image embeddings are asked for, which every site has: so where it is read anyway.
    """
    if config.encoders[labeller].role == "labeller":
        return OF_LABELLERS
    if labeller == encoder:
        return site
    return OF_LABELLERS if sites_of(config, labeller) == [OF_LABELLERS] else DEFAULT


def parts_needed(config: Config, encoder: str) -> list[str]:
    """Parts that a model must have where it is read, sorted; those of its role if no variant reads it."""
    usual = OF_LABELLERS if config.encoders[encoder].role == "labeller" else DEFAULT
    return sorted(
        {part for site in sites_of(config, encoder) or [usual] for part in SITES[kind_of(site)].needs}
    )
