"""Stage `basis_table`: the neurons and the principal axes of class tokens, named as an SAE's latents are."""

from pathlib import Path

from reliance.base.artifacts import write_table
from reliance.encoders.stored import Embeddings
from reliance.naming.table import COMPONENTS, open_labeller, table_of
from reliance.units.axes import open_basis


def basis_table(
    *,
    embeddings: Path,
    labels: Path,
    vocabulary: Path,
    components: Path,
    basis: str,
    top_n: int = 20,
    min_active: int = 20,
    block_rows: int = 16384,
) -> None:
    """Write statistics, clarity and name of every component of a basis of class tokens, as COMPONENTS.

    embeddings : class tokens of a split. basis : "neurons" | "pca", fitted to this split.
    labels, vocabulary, top_n, min_active : as for `component_table`.
    Raises RelianceError if the inputs do not belong together.
    """
    tokens = Embeddings(embeddings)
    found = open_basis(tokens, basis, block_rows)
    labeller = open_labeller(found, labels, vocabulary)
    frame = table_of(found, labeller, None, top_n, min_active, block_rows)
    params = {"basis": basis, "top_n": top_n, "min_active": min_active}
    write_table(components, frame, COMPONENTS, params, {"embeddings": tokens.stamp.id, **labeller.ids})
