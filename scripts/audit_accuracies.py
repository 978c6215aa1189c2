"""Accuracies of audited probes on changed images (Figs. 6 b and 15)."""

from reliance.audits.accuracy import audit_accuracies
from reliance.running.job import run

run(snakemake, audit_accuracies)
