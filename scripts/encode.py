"""Encode one part of a split into sparse codes (a of Eq. 1)."""

from reliance.codes.encode import encode_part
from reliance.running.job import run

run(snakemake, encode_part)
