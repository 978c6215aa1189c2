"""Components that matter more than expected on high-confidence images of other classes (Eq. 8, App. D.1)."""

from reliance.failures.outliers import mine_outliers
from reliance.running.job import run

run(snakemake, mine_outliers)
