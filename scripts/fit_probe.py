"""Fit the linear probe that text prompts are compared with (App. D.2)."""

from reliance.robustness.probes import fit_probe
from reliance.running.job import run

run(snakemake, fit_probe)
