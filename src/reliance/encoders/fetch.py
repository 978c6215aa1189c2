"""Files from the Hugging Face hub: from the local cache if they are there, else downloaded once.

A machine without network fails within seconds: one request without retries is made before the
library's own download, which retries for minutes. No torch here.
"""

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

TIMEOUT = 5.0  # seconds to wait for the hub's first answer
WEIGHTS_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
CONFIG_NAME = "open_clip_config.json"
log = logging.getLogger(__name__)


class FetchError(Exception):
    """A file could not be had; the message is the cause, on one line."""


def weights_names(hub: str) -> tuple[str, tuple[str, ...]]:
    """(repository, file names in order of preference) of an open_clip entry's `hf_hub` value.

    "owner/name/" means open_clip's default names, "owner/name/file.bin" that file; a safetensors
    file of the same name is preferred.
    """
    owner, name, *rest = hub.split("/")
    file = "/".join(rest)
    if not file:
        return f"{owner}/{name}", WEIGHTS_NAMES
    safe = str(PurePosixPath(file).with_suffix(".safetensors"))
    return f"{owner}/{name}", (safe, file) if safe != file else (file,)


def hub_file(repository: str, names: Sequence[str]) -> Path:
    """Local path of the first of `names` that the repository has.

    A cached file is used without asking the hub. Raises FetchError with the cause.
    """
    import huggingface_hub as hub

    for name in names:
        cached = hub.try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
    for name in names:
        try:
            hub.get_hf_file_metadata(hub.hf_hub_url(repository, name), timeout=TIMEOUT)
            log.info("downloading %s from %s", name, repository)
            return Path(hub.hf_hub_download(repository, name, etag_timeout=TIMEOUT))
        except hub.errors.RemoteEntryNotFoundError:
            continue
        except PermissionError as error:
            place = error.filename or hub.constants.HF_HUB_CACHE
            raise FetchError(
                f"{place} cannot be written: set HF_HOME or XDG_CACHE_HOME to a folder of yours"
            ) from error
        # Whatever the hub's client raises (no network, gated, renamed, disk full, cut off) is the cause.
        except Exception as error:
            raise FetchError(_one_line(error)) from error
    raise FetchError(f"the repository has none of {', '.join(names)}")


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:240]
