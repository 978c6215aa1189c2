"""Where a job computes."""

from reliance.base.errors import RelianceError


def choose_device(device: str) -> str:
    """The device, cpu or cuda, of a config value "auto" | "cpu" | "cuda"; auto takes a GPU if there is one.

    Raises RelianceError for "cuda" where there is none.
    """
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise RelianceError(
            "compute.device",
            "a device that is asked for must be there",
            found="cuda, but torch sees no GPU",
            allowed="auto, cpu, or cuda on a machine with a GPU",
            next_step="check nvidia-smi and the resources of the job, or write `device: auto`",
        )
    if device == "auto":
        return "cuda" if there else "cpu"
    return device
