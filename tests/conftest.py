"""`pytest --device cuda` runs the tests of what computes on a GPU there; with `-m gpu` only those."""

import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", choices=("cpu", "cuda"), default="cpu", help="where the device fixture is")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--device") != "cuda":
        return
    if not torch.cuda.is_available():
        raise pytest.UsageError("--device cuda: torch sees no GPU; check nvidia-smi, or leave --device out")
    for item in items:
        if "device" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.gpu)


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> str:
    """Where the tests of numerical code compute: "cpu" or "cuda"."""
    return str(pytestconfig.getoption("--device"))
