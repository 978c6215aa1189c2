"""Ways to break an artifact, each the way it happens: by the disk, by a copy, by a person."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from reliance.base.artifacts import STAMP_KEY, Stamp
from reliance.units.sae.files import load_sae, save_sae

STAMP = STAMP_KEY.encode()


class Broken(NamedTuple):
    """One artifact that is broken, and a target whose rule reads it."""

    path: str  # what the error names
    spoil: Callable[[Path], object]
    target: str
    found: str  # of the error


def truncated(name: str) -> Callable[[Path], object]:
    """A file of a folder loses its last bytes."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100])


def flipped(path: Path) -> None:
    """One bit in the last byte of a file."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def without(column: str) -> Callable[[Path], object]:
    """A table written again by other software, without a column."""
    return lambda path: pq.write_table(pq.read_table(path).drop([column]), path)


def older(path: Path) -> None:
    """A table of an earlier schema."""
    table = pq.read_table(path)
    stamp = Stamp.from_json(table.schema.metadata[STAMP])
    stamped = {STAMP: stamp._replace(schema=stamp.schema - 1).to_json()}
    pq.write_table(table.replace_schema_metadata(stamped), path)


def of_another_encoder(path: Path) -> None:
    """An SAE that was trained on another encoder."""
    sae, stamp = load_sae(path)
    save_sae(path, sae, stamp.params, {**stamp.inputs, "encoder": "0" * 64})


def edited(path: Path) -> None:
    """A number in a JSON file changed by hand."""
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "rows": record["rows"] + 1}))


ATTRIBUTIONS = "results/tiny/attributions/test.parquet"
BROKEN = {
    "zarr chunk truncated": Broken(
        "results/tiny/codes/test/part-0-of-1.zarr",
        truncated("values/c/0/0"),
        ATTRIBUTIONS,
        "lacks bytes in 1 chunks, first in 0",
    ),
    "SAE with a flipped bit": Broken("results/tiny/sae/sae.safetensors", flipped, ATTRIBUTIONS, "hash "),
    "SAE of another encoder": Broken(
        "results/tiny/sae/sae.safetensors", of_another_encoder, ATTRIBUTIONS, "encoder weights 000000000000"
    ),
    "probe with a flipped bit": Broken(
        "results/encoders/tiny/class_token/planted_tiny/probe.safetensors",
        flipped,
        "results/tiny/robustness.parquet",
        "its tensors are not those its stamp names",
    ),
    "head with a flipped bit": Broken(
        "results/encoders/tiny/class_token/head.safetensors",
        flipped,
        ATTRIBUTIONS,
        "its tensors are not those its stamp names",
    ),
    "parquet without a column": Broken(
        "results/tiny/expectations.parquet", without("std"), "results/tiny/outliers.parquet", "std missing"
    ),
    "parquet of an older schema": Broken(
        "results/tiny/outliers.parquet",
        older,
        "results/tiny/failures.tsv",
        "'outliers' in schema version",
    ),
    "manifest edited": Broken("results/tiny/codes/test/manifest.json", edited, ATTRIBUTIONS, "checksum"),
}
