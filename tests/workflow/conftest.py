"""A copy of the project in which the pipeline has built the small planted variant once."""

from pathlib import Path

import pytest

from .project import TARGETS, Project


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small planted variant, built from nothing."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.build(*TARGETS)
    return project


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A working copy in which nothing was built."""
    return Project(tmp_path / "project")
