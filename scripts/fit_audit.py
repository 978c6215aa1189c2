"""Fit a probe, choose the component to audit, and fit robust probes (Eqs. 33 and 34)."""

from reliance.casestudy.probe_audit import fit_audit
from reliance.jobs import run

run(snakemake, fit_audit)
