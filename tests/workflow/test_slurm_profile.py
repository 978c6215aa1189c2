"""The profile for SLURM plans every target."""

import subprocess
import sys

import pytest

from reliance.plan.stages import STAGES

from .project import Project


@pytest.mark.parametrize(
    "target",
    [
        (),
        ("results/compare/demo/fig5.pdf", "results/demo/report.html"),
        ("results/demo_lesions/report.html", "results/demo_lesions/fig15.pdf"),
    ],
)
def test_no_group_of_the_profile_waits_for_itself(fresh: Project, target: tuple[str, ...]) -> None:
    done = fresh.run(*target, "--workflow-profile", "slurm", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Group job figures" in done.stdout + done.stderr


LOCAL = """
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ResourceSettings
with SnakemakeApi() as api:
    workflow = api.workflow(resource_settings=ResourceSettings(cores=1), snakefile=Path("workflow/Snakefile"))
    print(*sorted(workflow._workflow._localrules))
"""


def test_what_needs_the_submit_host_stays_there(fresh: Project) -> None:
    """Weights are fetched where there is a network; cluster nodes often have none."""
    done = subprocess.run(
        [sys.executable, "-c", LOCAL], cwd=fresh.folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["all", *sorted(stage.name for stage in STAGES if stage.local)]
    assert "resolve_weights" in done.stdout
