"""Encode one part of a split into sparse codes (a of Eq. 1)."""

from reliance.codes.encode import encode_part
from reliance.running.job import run
from reliance.units.sae.top_k import ENCODER

assert ENCODER, "the job finds it by name; its code counts"
run(snakemake, encode_part)
