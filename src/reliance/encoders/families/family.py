"""What a family of models is, and of which one a model is. torch is not imported here."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from reliance.base.errors import RelianceError

TABLE = "reliance.encoders.families.table"  # looked up by name: its rows count in no job's fingerprint
CLASS_TOKEN = ("norm", "proj")  # parts that the class token is read by


@dataclass(frozen=True)
class Family:
    """A family of models. A misfit is the reason why a model is not of it; None: it is."""

    name: str
    meaning: str  # one line for people
    config_misfit: Callable[[Mapping[str, Any]], str | None]  # of an open_clip model config
    model_misfit: Callable[[Any], str | None]  # of the model that is built from it; it may lie on "meta"
    parts: Mapping[str, str]
    # where in the model the parts are that sites need (config/sites.py), by name:
    #   norm : the LayerNorm that the class token enters, [n, tokens, d] with it first or already [n, d]
    #   proj : the projection behind it, a parameter [d, p] or an nn.Linear without bias

    def misfit(self, config: Mapping[str, Any], model: Any = None) -> str | None:
        """Why a model is not of this family, as far as its config, and the model if it is there, say."""
        reason = self.config_misfit(config)
        return reason if reason or model is None else self.model_misfit(model)


def families() -> list[Family]:
    """All families, in the order they are tried."""
    found: list[Family] = [import_module(m).FAMILY for m in import_module(TABLE).FAMILIES.values()]
    return found


def family_of(config: Mapping[str, Any], model: Any = None) -> Family:
    """The first family that a model fits; the last of the table takes all."""
    return next(family for family in families() if family.misfit(config, model) is None)


def needed(role: str) -> tuple[str, ...]:
    """Parts that a model is asked for if nobody says where it is read: labellers give embeddings only."""
    return CLASS_TOKEN if role == "encoder" else ()


def check_parts(
    config: Mapping[str, Any], needs: Collection[str], where: str, name: str, model: Any = None
) -> None:
    """Raise RelianceError, with the reason, unless the model has the parts that it is to be read by.

    config : an open_clip model config (embed_dim, vision_cfg, text_cfg). name : the model's, for messages.
    """
    if set(needs) - set(family_of(config, model).parts):
        able = [family for family in families() if set(needs) <= set(family.parts)]
        reasons = dict.fromkeys(filter(None, (family.misfit(config, model) for family in able)))
        raise RelianceError(
            where,
            "an encoder that is analysed is a vision transformer with a class token, ln_post and proj",
            found=f"{name}: {'; '.join(reasons) or 'of a family without ' + ', '.join(needs)}",
            allowed="open_clip's ViT models, for example ViT-B-32, ViT-L-14, ViT-H-14-quickgelu",
            next_step="choose another architecture, or read this one at `site: embedding`; "
            "with `role: labeller` it can name components",
        )
