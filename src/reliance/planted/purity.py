"""Stage `score_units`: whether the units of a dictionary stand for one planted thing each.

    purity_j = max over v of  sum_i a_ij [picture i shows v]  /  sum_i a_ij

v is an object, a written word or a background of the truth table, a_ij the activation of unit j on picture i
of train. It is 1 for a unit that fires on one thing only; by chance it is about the share of pictures that
show what is most frequent.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from reliance.base.artifacts import derived_stamp, read_json, write_json
from reliance.encoders.stored import Embeddings
from reliance.matching.judged import Dictionary, code_of
from reliance.planted.truth import Planted, read_planted
from reliance.units.sae.files import QUALITY_KIND, QUALITY_SCHEMA

FACTORS = ("object", "word", "background")


def score_units(
    *,
    files: Dictionary,
    planted: Planted,
    basis: str,
    purity: Path,
    images: int = 5000,
    min_active: int = 20,
) -> None:
    """Write the mean purity of the units that fire on at least `min_active` pictures (JSON).

    At most `images` pictures of train count, evenly spaced. Raises RelianceError for files that do not belong
    together.
    """
    frame, _, inputs = read_planted(*planted, files.index, "train")
    train = Embeddings(files.fitted)
    readable = np.flatnonzero(train.read("valid"))
    rows = readable[np.unique(np.linspace(0, len(readable) - 1, min(images, len(readable))).astype(int))]
    quality, stamp = read_json(files.quality, QUALITY_KIND, QUALITY_SCHEMA)
    code = code_of(files, basis, train, rows, max(1, round(quality["l0"]))).code
    counted = np.asarray((code != 0).sum(axis=0)).ravel() >= min_active
    found = purities(code, shown(frame.set_index("image_id").loc[rows]))[counted]
    record = {"purity": float(found.mean()) if len(found) else None, "units": int(counted.sum())}
    inputs |= {"embeddings": train.stamp.id, "quality": stamp.id}
    params = {"basis": basis, "images": images, "min_active": min_active}
    write_json(purity, record, derived_stamp("unit_purity", 1, params, inputs))


def purities(code: csr_array, shows: np.ndarray) -> np.ndarray:
    """Purity float64 [m] of activations [n, m] of pictures that show things, bool [n, v]; nan without any."""
    wide = code.astype(np.float64)
    together = wide.T @ shows.astype(np.float64)
    total = np.asarray(wide.sum(axis=0)).ravel()
    most = together.max(axis=1, initial=0)
    result: np.ndarray = np.divide(most, total, out=np.full(len(total), np.nan), where=total > 0)
    return result


def shown(frame: pd.DataFrame) -> np.ndarray:
    """Whether each picture [n] shows each thing of any factor, bool [n, v]; no word is no thing."""
    columns = [pd.get_dummies(frame[name]).drop(columns="", errors="ignore") for name in FACTORS]
    return np.concatenate([part.to_numpy(bool) for part in columns], axis=1)
