"""Train a small CLIP on captioned drawings; keep the checkpoint at half the steps as well."""

from reliance.jobs import run
from reliance.planted.train_clip import train_clip

run(snakemake, train_clip)
