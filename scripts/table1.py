"""Table 1: what richer prompts change, paired over cases."""

from reliance.figures.robustness.table1 import table1
from reliance.running.job import run

run(snakemake, table1)
