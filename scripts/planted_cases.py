"""List every planted failure as a case, with all images that show it."""

from reliance.jobs import run
from reliance.planted.truth import planted_cases

run(snakemake, planted_cases)
