"""Attribute the output of audited probes to components (Fig. 6 a)."""

from reliance.audits.probe_audit import audit_relevances
from reliance.running.job import run

run(snakemake, audit_relevances)
