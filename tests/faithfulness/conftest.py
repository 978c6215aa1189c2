"""Makes the toy split of the attribution tests importable, however pytest was started."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """The arrays are tiny: more threads only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    from .toy import CurveToy

    split = CurveToy(tmp_path_factory.mktemp("toy"), per_class=20)
    split.explained = split.files()
    return split
