"""Alignment of the names of classes with their own images (Fig. 4 c)."""

from reliance.concepts.alignments import alignment_baseline
from reliance.running.job import run

run(snakemake, alignment_baseline)
