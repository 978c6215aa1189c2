"""open_clip, imported without the package transformers.

Where transformers is installed, open_clip imports its text generation for CoCa's captions, which nothing here
writes: five seconds of every job that has a model. Text towers of transformers get it when one is built.
"""

import importlib
import sys

__all__ = ["open_clip", "with_transformers"]

_HIDDEN = "transformers"

if _HIDDEN in sys.modules or "open_clip" in sys.modules:
    import open_clip
else:
    sys.modules[_HIDDEN] = None  # type: ignore[assignment]  # how Python marks what must not be found
    try:
        import open_clip
    finally:
        del sys.modules[_HIDDEN]


def with_transformers() -> None:
    """Let open_clip build text towers of transformers. Raises ImportError where that is not installed."""
    importlib.import_module(_HIDDEN)
    if open_clip.hf_model.transformers is None:
        importlib.reload(open_clip.hf_model)  # classes that are in use look names up in the same module
