"""Tables of the bridge: what heads and neurons write into latents, and failure cases without them."""

import pandas as pd

from reliance.lens.cases import repaired
from reliance.report.markup import Grid

LATENTS, EACH = 15, 3


def latent_rows(bridge: pd.DataFrame, heads: pd.DataFrame, names: dict[int, str]) -> Grid:
    """The heads and neurons that add most to each of the latents of which one head writes most."""
    words = {(row["block"], row["head"]): row["words"] for row in heads.to_dict("records")}
    of_heads = bridge[bridge["kind"] == "head"]
    strongest = of_heads.groupby("component")["share"].max().nlargest(LATENTS).index
    rows = []
    for component in strongest:
        own = bridge[bridge["component"] == component]
        cells = [_said(own[own["kind"] == kind]) for kind in ("head", "neuron")]
        first = own[own["kind"] == "head"].nlargest(1, "contribution").iloc[0]
        of_first = words.get((first["block"], first["unit"]), "")
        rows.append([f"#{component}", names.get(int(component), ""), *cells, of_first])
    return Grid(["latent", "name", "heads (share of its rise)", "neurons", "words of the first head"], rows)


def _said(rows: pd.DataFrame) -> str:
    best = rows.nlargest(EACH, "contribution")
    parts = zip(best["block"], best["unit"], best["share"], strict=True)
    return ", ".join(f"{block}:{unit} {100 * share:.0f} %" for block, unit, share in parts)


def case_rows(cases: pd.DataFrame) -> Grid:
    """By kind of failure and by what was ablated: means over cases."""
    columns = ["kind", "at their means", "cases", "AUC before", "AUC", "repaired", "accuracy lost"]
    rows = [
        [
            row["kind"],
            row["ablated"],
            f"{row['cases']}",
            f"{row['before']:.3f}",
            f"{row['auc']:.3f}",
            f"{100 * row['repaired']:.0f} %" if row["repaired"] == row["repaired"] else "",
            f"{100 * row['lost']:.1f} %",
        ]
        for row in repaired(cases).to_dict("records")
    ]
    return Grid(columns, rows)
