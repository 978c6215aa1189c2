"""List the images that could not be read, with the reason."""

from reliance.images.index import gather_excluded
from reliance.running.job import run

run(snakemake, gather_excluded)
