"""Which classes a unit serves: one rule for questions, for the atlas and for its list.

A class is served by a unit if leaving the unit out takes at least LEAST of the class's mean output, the mean
over all its images. Classes come by the size of that effect, the largest first (`indexing.served_frame`). A
class whose mean output is not positive has no shares, and counts as served by none.
"""

import pandas as pd

LEAST = 0.0005  # as a share; what is less reads 0.0 %


def counting(served: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table with a column `share` that count as served, in their order."""
    return served[served["share"] >= LEAST]
