"""What the paper found about components, held against numbers (Sec. 5.2, Fig. 4).

No interval is given for counts: they are of all components there are. A count holds if it is on the
paper's side and fails otherwise; it is undecided if a table has no named component.
"""

from collections.abc import Mapping

import pandas as pd

from reliance.findings import Finding, positive
from reliance.interpretability.concepts import correlation, named, unique_concepts

MOST = 0.5  # the share from which "a large share" is said to hold
BASES = {"neurons": "the neurons", "pca": "the principal axes"}


def findings(
    components: pd.DataFrame, neurons: pd.DataFrame, pca: pd.DataFrame, baseline: pd.DataFrame
) -> list[Finding]:
    """The findings on an SAE's components.

    components, neurons, pca : columns of COMPONENTS. baseline : columns of ALIGNMENTS.
    """
    frames = {"sae": components, "neurons": neurons, "pca": pca}
    return [*_diversity(frames), _clarity(components), _alignment(components, baseline)]


def _diversity(frames: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """More different labels than in another basis: of all components, and of equally many."""
    table = unique_concepts(frames).set_index("name")
    found = []
    for name, words in BASES.items():
        both = table.loc[["sae", name]]
        known = bool((both["n_components"] > 0).all())
        for column, counted in (("n_unique", "unique"), ("rarefied", "unique_at_equal_numbers")):
            ours, theirs = both[column].to_list()
            numbers = f"({ours} labels on {both['n_components'].iloc[0]} components against {theirs} on "
            numbers += f"{both['n_components'].iloc[1]})"
            where = "over all components"
            if column == "rarefied":
                drawn = int(table["n_components"].min())
                known = known and drawn > 0
                where = f"at {drawn} components drawn from each"
                numbers = f"({ours:.1f} labels expected against {theirs:.1f})"
            claim = f"the SAE finds more different concepts than {words}"
            holds = bool(ours > theirs) if known else None
            found.append(Finding(f"{counted}:{name}", holds, claim, f"{where} {numbers}"))
    return found


def _clarity(components: pd.DataFrame) -> Finding:
    """Holds if the 95 % interval of the correlation is above 0, undecided if it includes 0."""
    found = correlation(components, "top20_mean")
    numbers = f"(r = {found.r:+.2f} [{found.low:+.2f}, {found.high:+.2f}], {found.n} components)"
    claim = "components that fire more strongly are clearer"
    return Finding("activation_clarity", positive(found.low, found.high), claim, f"over components {numbers}")


def _alignment(components: pd.DataFrame, baseline: pd.DataFrame) -> Finding:
    """Holds if more than MOST of the named components are below the median class.

    The comparison favours components: their label is the best of a whole vocabulary, a class has
    but its own name.
    """
    alignment, median = named(components)["alignment"], baseline["alignment"].median()
    below = (alignment < median).mean()
    holds = bool(below > MOST) if len(alignment) and len(baseline) else None
    claim = "a large share of components is less aligned with its label than a class with its own name"
    numbers = f"({100 * below:.0f} % of {len(alignment)} components are below the median {median:.3f} "
    numbers += f"of {len(baseline)} classes)"
    return Finding("below_baseline", holds, claim, f"over components {numbers}")
