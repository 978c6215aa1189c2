"""Attribute the output of audited probes to components (Fig. 6 a)."""

from reliance.casestudy.probe_audit import audit_relevances
from reliance.jobs import run

run(snakemake, audit_relevances)
