"""Spurious and valid AUC of every case for each way of probing (Figs. 5 and 14, Table 1)."""

from reliance.robustness.table import benchmark
from reliance.running.job import run

run(snakemake, benchmark)
