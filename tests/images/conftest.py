"""Folders of empty files: the index never opens an image."""

from pathlib import Path

import pytest


@pytest.fixture
def plant(tmp_path):
    """plant("root", "a/x.jpg", "b/y.jpg") makes files of 3 bytes below tmp_path/root and gives the root."""

    def make(root: str, *paths: str) -> Path:
        for path in paths:
            file = tmp_path / root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"abc")
        (tmp_path / root).mkdir(exist_ok=True)
        return tmp_path / root

    return make
