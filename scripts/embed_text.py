"""Embed a set of prompts or a vocabulary (t of Eqs. 2 to 4)."""

from reliance.encoders.text import embed_text
from reliance.running.job import run

run(snakemake, embed_text)
