"""A configuration file as YAML, before anybody merges or checks what it says."""

from pathlib import Path

import yaml

from reliance.base.errors import RelianceError
from reliance.config.mistakes import invalid


class _Unique(yaml.SafeLoader):
    """YAML's safe loader; a key that is given twice is an error, where YAML silently takes the last one."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._flat: set[int] = set()  # ids of mappings that other keys were merged into already

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in () if id(node) in self._flat else node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    problem = f"the key {key.value} stands there for the second time"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
        self._flat.add(id(node))
        super().flatten_mapping(node)


def check_yaml(path: str | Path) -> None:
    """Raise RelianceError if a file is missing, not YAML, not a mapping of keys, or gives a key twice.

    It names line and column where they are known.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Unique)
    # ValueError: not UTF-8, or a date or number that cannot be; RecursionError: too deep
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(path)
        raise RelianceError(
            where,
            "the configuration must be readable YAML",
            found=getattr(error, "problem", None) or str(error),
            allowed="keys and values as in the shipped config/config.yaml",
            next_step="start snakemake in the repository's root folder"
            if isinstance(error, FileNotFoundError)
            else "look at this line and the one before it: indentation, a missing colon or quote"
            if mark
            else "undo the last change of this file",
        ) from error
    if not isinstance(content, dict):
        raise invalid(path, "the configuration is a mapping of keys", content, "key: value lines", "")
