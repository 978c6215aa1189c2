"""The kinds of SAE by name: one row and one module per architecture.

The module has ENCODER, how its SAEs are applied, and `train`, the entry point of their training. It is found
by its name when the workflow is planned: jobs are given entry points, and their fingerprints start there, so
that a new kind reruns nothing of another.
"""

from typing import NamedTuple

from reliance.base.errors import RelianceError


class Kind(NamedTuple):
    """A row of the table."""

    module: str
    trained: bool = True  # False: there are only imported ones

    @property
    def train(self) -> str:
        """Entry point of the stage `train_sae`."""
        return f"{self.module}:train"

    @property
    def encoder(self) -> str:
        """What the stage `encode` encodes by."""
        return f"{self.module}:ENCODER"


DEFAULT = "top_k"
KINDS = {
    "top_k": Kind("reliance.units.sae.top_k"),
    "signed_top_k": Kind("reliance.units.sae.signed_top_k", trained=False),
}


def trainable(name: str, where: str) -> Kind:
    """The kind of an SAE that is to be trained; `where` is the key that names it. Raises RelianceError."""
    found = KINDS.get(name)
    if found is None or not found.trained:
        raise RelianceError(
            where,
            "an SAE is of a kind that can be trained",
            found=name if found is None else f"{name}, of which there are only imported ones",
            allowed=", ".join(kind for kind, row in KINDS.items() if row.trained),
            next_step="correct the kind, or add its module and its row to units/sae/kinds.py",
        )
    return found
