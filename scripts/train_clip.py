"""Train a small CLIP on captioned drawings; keep the checkpoint at half the steps as well."""

from reliance.planted.train_clip import train_clip
from reliance.running.job import run

run(snakemake, train_clip)
