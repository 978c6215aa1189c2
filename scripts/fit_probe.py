"""Fit the linear probe that text prompts are compared with (App. D.2)."""

from reliance.jobs import run
from reliance.robustness.probes import fit_probe

run(snakemake, fit_probe)
