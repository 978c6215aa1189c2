"""List every planted failure as a case, with all images that show it."""

from reliance.planted.truth import planted_cases
from reliance.running.job import run

run(snakemake, planted_cases)
