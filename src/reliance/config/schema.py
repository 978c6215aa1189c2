"""The schema of the configuration, generated from its models, so that editors complete and check its keys.

    make schema

A first line  # yaml-language-server: $schema=schema.json  in a YAML file beside it is enough for editors.
A file of one's own has some of the keys, as it goes over the shipped one: none is required.
"""

import json
from typing import Any

from reliance.config.models import Config


def schema() -> dict[str, Any]:
    """JSON schema of a configuration that goes over the shipped one."""
    found = Config.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_partial(found)}


def text() -> str:
    """The schema as the file has it."""
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


def _partial(node: Any) -> Any:
    """The same without what is required, in every section."""
    if isinstance(node, dict):
        return {key: _partial(value) for key, value in node.items() if key != "required"}
    return [_partial(item) for item in node] if isinstance(node, list) else node


if __name__ == "__main__":
    print(text(), end="")
