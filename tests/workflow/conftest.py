"""A copy of the project in which the pipeline has built the small planted variant once."""

from pathlib import Path

import pytest

from .project import Project


@pytest.fixture(scope="session")
def built(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small planted variant, built from nothing."""
    return Project.built(pytestconfig.cache.mkdir("built"), tmp_path_factory.mktemp("built") / "project")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A working copy in which nothing was built."""
    return Project(tmp_path / "project")
