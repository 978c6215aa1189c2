"""Accuracies of audited probes on changed images (Figs. 6 b and 15)."""

from reliance.casestudy.accuracy import audit_accuracies
from reliance.jobs import run

run(snakemake, audit_accuracies)
