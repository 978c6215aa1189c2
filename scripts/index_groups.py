"""Read which images show the same patient or lesion."""

from reliance.images.groups import index_groups
from reliance.running.job import run

run(snakemake, index_groups)
