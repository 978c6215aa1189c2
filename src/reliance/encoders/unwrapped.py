"""What stands around the tensors of an intact checkpoint: a prefix, a table, or more than tensors."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from reliance.base.errors import RelianceError

_CAUSES = (
    r"Unsupported (?:global|class|operand)[^.]*(?:\.\w+)*",
    r"WeightsUnpickler error: [^.]*(?:\.\w+)*",
    r"invalid (?:header|magic)[^.]*",
)


class WrappedError(ValueError):
    """A checkpoint whose tensors lie in tables of another name than "state_dict"."""

    def __init__(self, tables: list[str]) -> None:
        super().__init__(f"its tensors lie below {' and '.join(map(repr, tables[:4]))}, not at the top")
        self.tables = tables


def common_prefix(found: Collection[str], wanted: Collection[str]) -> str:
    """What stands before the names of a model's tensors in a checkpoint; "" if nothing."""
    ends = sorted(wanted, key=len, reverse=True)[:200]
    counts: Counter[str] = Counter()
    for end in ends:
        counts.update({name.removesuffix(end) for name in found if name != end and name.endswith(f".{end}")})
    if not counts:
        return ""
    prefix, count = counts.most_common(1)[0]
    return prefix if count >= max(1, len(ends) // 2) else ""


def tables_in(content: Any, tensor: type) -> list[str]:
    """Keys of a checkpoint below which tables of tensors lie, such as model, ema or state_dict."""
    if not isinstance(content, Mapping):
        return []
    return [
        str(key)
        for key, value in content.items()
        if isinstance(value, Mapping) and value and all(isinstance(v, tensor) for v in value.values())
    ]


def cause(error: Exception) -> str:
    """The part of an error's message that says why, which torch puts behind a page of advice."""
    text = " ".join(str(error).split())
    for pattern in _CAUSES:
        if match := re.search(pattern, text):
            return f"{type(error).__name__}: {match[0].strip()}"
    return f"{type(error).__name__}: {text}"


def prefixed(path: str, encoder: str, prefix: str, example: str) -> RelianceError:
    """The error for tensors whose names all start with the same words."""
    save = f"{{name.removeprefix({prefix!r}): tensor for name, tensor in state.items()}}"
    return RelianceError(
        f"encoders.{encoder}: {path}",
        "the tensors of a file of weights have the names that open_clip gives them",
        found=f"the prefix {prefix!r} before their names, such as {example}",
        allowed=f"the names without it, such as {example.removeprefix(prefix)}",
        next_step="without it they do not fit either: choose the right architecture, or save "
        f"{save}, and name the new file as encoders.{encoder}.file",
    )


def not_read(path: str, encoder: str, error: Exception) -> RelianceError:
    """The error for a file that holds no table of tensors, or not only one."""
    if isinstance(error, WrappedError):
        key = error.tables[0]
        step = f"the file is intact: save what lies below {key!r} alone, which is content[{key!r}]"
    elif "Unsupported" in str(error):
        step = "the file is intact, but holds other objects, which could run code: load it where it was made "
        step += "and save its state_dict alone"
    else:
        step = "the file is damaged or of another kind (a TorchScript archive?): download it again"
    return RelianceError(
        f"encoders.{encoder}: {path}",
        "a file of weights is read as safetensors, or by torch.load with weights_only=True",
        found=cause(error),
        allowed="an intact checkpoint that holds only tensors, at the top or below 'state_dict'",
        next_step=f"{step}, or name another copy as encoders.{encoder}.file",
    )
