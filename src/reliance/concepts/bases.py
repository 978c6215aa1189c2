"""Stage `basis_table`: other components of class tokens, named as an SAE's latents are.

Neurons and principal axes, and two controls that have learned nothing: random directions, and an SAE of the
same size before its training.
"""

from pathlib import Path

from reliance.base.artifacts import write_table
from reliance.encoders.stored import Embeddings
from reliance.naming.table import COMPONENTS, open_labeller, table_of
from reliance.units.axes import open_basis
from reliance.units.protocol import Activations

UNTRAINED = "untrained"


def basis_table(
    *,
    embeddings: Path,
    labels: Path,
    vocabulary: Path,
    components: Path,
    basis: str,
    sae: Path | None = None,
    top_n: int = 20,
    min_active: int = 20,
    block_rows: int = 16384,
) -> None:
    """Write statistics, clarity and name of every component of a basis of class tokens, as COMPONENTS.

    embeddings : class tokens of a split.
    basis : "neurons" | "pca" | "random", fitted to this split, or "untrained", of as many latents as `sae`,
        as many of which fire on an image.
    labels, vocabulary, top_n, min_active : as for `component_table`.
    Raises RelianceError if the inputs do not belong together.
    """
    tokens = Embeddings(embeddings)
    found, ids = _open(tokens, basis, sae, block_rows)
    labeller = open_labeller(found, labels, vocabulary)
    frame = table_of(found, labeller, None, top_n, min_active, block_rows)
    params = {"basis": basis, "top_n": top_n, "min_active": min_active}
    write_table(components, frame, COMPONENTS, params, {"embeddings": tokens.stamp.id, **ids, **labeller.ids})


def _open(
    tokens: Embeddings, basis: str, sae: Path | None, block_rows: int
) -> tuple[Activations, dict[str, str]]:
    """The activations of a basis, and the ids of what they follow beside the class tokens."""
    if basis != UNTRAINED:
        return open_basis(tokens, basis, block_rows), {}
    from reliance.units.untrained import open_untrained  # torch, which the other bases do without

    return open_untrained(tokens, sae, block_rows)
