"""Statistics, clarity and name of every component (Eq. 2; Fig. 4)."""

from reliance.naming.table import component_table
from reliance.running.job import run

run(snakemake, component_table)
