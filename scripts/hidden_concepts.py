"""Components that matter and that no name describes (Eq. 7; Figs. 10 and 11)."""

from reliance.concepts.hidden import hidden_concepts
from reliance.running.job import run

run(snakemake, hidden_concepts)
