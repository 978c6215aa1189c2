"""The profile for SLURM plans every target."""

import pytest

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
