"""Fit a probe, choose the component to audit, and fit robust probes (Eqs. 33 and 34)."""

from reliance.audits.probe_audit import fit_audit
from reliance.running.job import run

run(snakemake, fit_audit)
