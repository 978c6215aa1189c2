"""List the images and classes of a data set."""

from reliance.images.index import index_images
from reliance.running.job import run

run(snakemake, index_images)
