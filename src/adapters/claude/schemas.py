"""The JSON Schema a reply must have, made from the artifact's dataclass."""

from typing import Any

import msgspec
from anthropic import transform_schema

from domain.agents.artifacts import Reply


def schema_of(makes: type[Reply]) -> dict[str, Any]:
    """The strict schema of ``makes``, in the keywords structured output supports.

    Every object is closed and every property required: the provider allows 24 optional
    properties and compiles a grammar for each choice, and a model that must write ``[]``
    has decided that there is nothing to list. The root is an object, not a reference.
    """
    components, definitions = msgspec.json.schema_components(
        (makes,), ref_template="#/$defs/{name}"
    )
    name = components[0]["$ref"].rsplit("/", 1)[-1]
    root = definitions.pop(name)
    if definitions:
        root = {**root, "$defs": definitions}
    return transform_schema(_required(root))


def _required(node: Any) -> Any:
    """``node`` without defaults, its objects requiring all of their properties."""
    if isinstance(node, list):
        return [_required(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _required(value) for key, value in node.items() if key != "default"}
    if "properties" in node:
        # The names in it are ours: a property may well be called "default".
        made["properties"] = {name: _required(value) for name, value in node["properties"].items()}
        made["required"] = list(node["properties"])
    return made
