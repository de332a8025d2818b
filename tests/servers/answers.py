"""What the Messages API's stand-in writes: valid values of whatever schema is asked for."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from application.ports.language_model import ModelRequest
from domain.agents import artifacts
from domain.agents.pipelines import Depth, ModelTier

Answers = Callable[[Mapping[str, Any]], str | Awaitable[str]]
"""From a request's body to the text of the answer."""


def from_schema(body: Mapping[str, Any]) -> str:
    """The smallest value of the asked schema, every list with one element."""
    schema = _schema(body)
    return msgspec.json.encode(sample_of(schema, schema.get("$defs", {}))).decode()


def sample_of(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """A value that satisfies ``schema``, in the keywords structured output knows."""
    if "$ref" in schema:
        return sample_of(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return sample_of(schema["anyOf"][0], definitions)
    kind = schema["type"]
    if kind == "object":
        return {name: sample_of(item, definitions) for name, item in schema["properties"].items()}
    if kind == "array":
        return [sample_of(schema["items"], definitions)]
    return {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}[kind]


def from_offline_model() -> Answers:
    """Answers composed by the offline model from the materials in the prompt."""
    from adapters.offline import OfflineLanguageModel

    model = OfflineLanguageModel()

    async def answer(body: Mapping[str, Any]) -> str:
        reply = await model.reply(request_in(body), (), lambda tokens: None)
        return reply.text

    return answer


def request_in(body: Mapping[str, Any]) -> ModelRequest:
    """The typed request behind a prompt: its materials, and what it asks for."""
    inputs = materials_in(body)
    makes = getattr(artifacts, _schema(body)["title"])
    instructions = {
        artifacts.IdeaBrief: "idea",
        artifacts.Requirements: "srs",
        artifacts.ProductSpec: "prd",
        artifacts.CodePlan: "code.plan",
        artifacts.FileBatch: "repair" if "evidence" in inputs else "code.files",
    }[makes]
    return ModelRequest(
        makes=makes,
        instructions=instructions,
        inputs=inputs,
        tier=ModelTier.DEFAULT,
        depth=Depth.STANDARD,
    )


def materials_in(body: Mapping[str, Any]) -> dict[str, Any]:
    """The typed inputs in a prompt's first turn, in their order."""
    blocks = body["messages"][0]["content"]
    found = (_MATERIAL.fullmatch(block["text"]) for block in blocks)
    return {
        match["name"]: msgspec.json.decode(match["json"], type=_type(match["type"]))
        for match in found
        if match
    }


_MATERIAL = re.compile(
    r'<material name="(?P<name>[^"]+)" type="(?P<type>[^"]+)">\n(?P<json>.*)\n</material>',
    re.DOTALL,
)


def _type(name: str) -> Any:
    if name.startswith("list["):
        return tuple[_type(name[5:-1]), ...]
    return {"str": str, "json": Any}.get(name) or getattr(artifacts, name)


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = body["output_config"]["format"]["schema"]
    return schema
