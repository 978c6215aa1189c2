"""Where a job computes."""

import pytest

from reliance.base.device import choose_device
from reliance.base.errors import RelianceError


@pytest.mark.parametrize("there", [True, False])
def test_the_device_of_a_config_value(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == ("cuda" if there else "cpu")
    if there:
        assert choose_device("cuda") == "cuda"
        return
    with pytest.raises(RelianceError, match=r"compute.device: (.|\n)*write `device: auto`"):
        choose_device("cuda")
