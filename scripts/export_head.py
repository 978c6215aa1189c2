"""Write the head, ln_post and projection, all that later steps need of a model (Eq. 4)."""

from reliance.encoders.head import export_head
from reliance.running.job import run

run(snakemake, export_head)
