"""Components that matter and that no name describes (Eq. 7; Figs. 10 and 11)."""

from reliance.interpretability.hidden import hidden_concepts
from reliance.jobs import run

run(snakemake, hidden_concepts)
