"""The kinds of SAE by name: one row and one module per architecture.

The module has ENCODER, how its SAEs are applied, and `train`, the entry point of their training; that of
imported SAEs, whatever their format, reads them. It is found by its name when the workflow is planned: jobs
are given entry points, and their fingerprints start there, so that a new kind reruns nothing of another.
"""

from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.units.sae.activations import ENCODERS


class Kind(NamedTuple):
    """A row of the table."""

    module: str
    trained: bool = True  # False: it is imported

    @property
    def train(self) -> str:
        """Entry point of the stage `train_sae`."""
        return f"{self.module}:train"

    @property
    def encoders(self) -> tuple[str, ...]:
        """What the stage `encode` may encode by: of an imported SAE, what its file asks for."""
        return (f"{self.module}:ENCODER",) if self.trained else tuple(ENCODERS.values())


DEFAULT = "top_k"
KINDS = {
    "top_k": Kind("reliance.units.sae.top_k"),
    "batch_top_k": Kind("reliance.units.sae.batch_top_k"),
    "matryoshka": Kind("reliance.units.sae.matryoshka"),
    "jump_relu": Kind("reliance.units.sae.jump_relu"),
    "archetypal": Kind("reliance.units.sae.archetypal"),
    "imported": Kind("reliance.units.sae.imported", trained=False),
}


def trainable(name: str, where: str) -> Kind:
    """The kind of an SAE that is to be trained; `where` is the key that names it. Raises RelianceError."""
    found = KINDS.get(name)
    if found is None or not found.trained:
        raise RelianceError(
            where,
            "an SAE is of a kind that can be trained",
            found=name if found is None else f"{name}: such SAEs are trained elsewhere",
            allowed=", ".join(kind for kind, row in KINDS.items() if row.trained),
            next_step="correct the kind, or add its module and its row to units/sae/kinds.py",
        )
    return found
