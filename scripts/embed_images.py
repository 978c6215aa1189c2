"""Embed one part of a split: the class token after the last block (x of Eqs. 1 and 4)."""

from reliance.encoders.vision import embed_images
from reliance.running.job import run

run(snakemake, embed_images)
