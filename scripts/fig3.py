"""Fig. 3: deletion and insertion of the most relevant latents."""

from reliance.figures.faithfulness.fig3 import fig3
from reliance.running.job import run

run(snakemake, fig3)
