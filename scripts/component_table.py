"""Statistics, clarity and name of every component (Eq. 2; Fig. 4)."""

from reliance.components.table import component_table
from reliance.jobs import run

run(snakemake, component_table)
