"""open_clip, imported without what few of its models need.

Importing it imports transformers (for CoCa's captions), timm (for its towers) and, through torchvision's
detection operators, torch's compiler: most of the seconds that a job with a model takes to start. Nothing
here writes captions, detects boxes or compiles; towers of timm and transformers get theirs when one is built.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["open_clip", "with_timm", "with_transformers"]


def _uncompiled() -> dict[str, ModuleType]:
    """Stand-ins for the compiler, as far as modules ask for it while they are imported."""
    compiler, utils = ModuleType("torch._dynamo"), ModuleType("torch._dynamo.utils")

    def disable(function: Callable[..., Any] | None = None, *_: object, **__: object) -> Any:
        """The function, or a decorator that gives back what it gets: there is nothing to disable."""
        return function or (lambda decorated: decorated)

    compiler.disable, compiler.__path__ = disable, []  # type: ignore[attr-defined]
    utils.is_compile_supported = lambda device: False  # type: ignore[attr-defined]
    return {"torch._dynamo": compiler, "torch._dynamo.utils": utils}


def _hidden() -> dict[str, ModuleType | None]:
    """What is hidden, None as Python marks what must not be found; nothing that is imported already."""
    hidden: dict[str, ModuleType | None] = {"transformers": None, "timm": None}
    if "torch._dynamo" not in sys.modules:
        hidden |= _uncompiled()
    return {name: instead for name, instead in hidden.items() if name not in sys.modules}


if "open_clip" in sys.modules:
    import open_clip
else:
    _instead = _hidden()
    sys.modules.update(_instead)  # type: ignore[arg-type]
    try:
        import open_clip
    finally:
        for _name in _instead:
            del sys.modules[_name]


def with_transformers() -> None:
    """Let open_clip build text towers of transformers. Raises ImportError where that is not installed."""
    _show("transformers", open_clip.hf_model)


def with_timm() -> None:
    """Let open_clip build towers of timm. Raises ImportError where that is not installed."""
    _show("timm", open_clip.timm_model)


def _show(package: str, module: Any) -> None:
    """Import a package that was hidden from a module of open_clip."""
    importlib.import_module(package)
    if getattr(module, package) is None:
        importlib.reload(module)  # classes that are in use look names up in the same module
