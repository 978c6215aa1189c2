"""Every kind of bad or hostile input, in one list: each ends in a clear error, in a listed exclusion, or in
being used as what it is."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import bad_configs, bad_containers, bad_folders, bad_images, bad_lists, bad_names
from .bad import Bad

ROOMS = (bad_images, bad_folders, bad_names, bad_configs, bad_lists, bad_containers)
CASES = [case for room in ROOMS for case in room.CASES]
SECONDS = 20  # a case that waits for a pipe or unpacks a bomb must not hang the tests


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_input(case: Bad, tmp_path: Path) -> None:
    case.check(lambda: case.run(tmp_path))


def test_the_list_is_long_and_names_every_case_once() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 200
