"""Stage `list_attributes`: what was drawn beside the thing, as the table of attributes that real data bring.

Columns: image, a path below the root; background; word, as "written X" or "no word". The thing itself is the
class, and so no attribute.
"""

from pathlib import Path

import pandas as pd

from reliance.base.artifacts import read_table
from reliance.base.writing import atomic
from reliance.planted.table import TRUTH


def list_attributes(*, truth: Path, attributes: Path) -> None:
    """Write the attributes of all labelled pictures (CSV, as `datasets.X.groups`)."""
    drawn = read_table(truth, TRUTH).frame
    word = drawn["word"].map(lambda word: f"written {word}" if word else "no word")
    table = pd.DataFrame({"image": drawn["path"], "background": drawn["background"], "word": word})
    with atomic(attributes) as temporary:
        table.to_csv(temporary, index=False)
