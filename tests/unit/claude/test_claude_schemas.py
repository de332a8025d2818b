"""The schemas that replies are held to."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from adapters.claude.instructions import ANSWERS
from adapters.claude.schemas import schema_of
from domain.agents.artifacts import EntityField, FieldType, IdeaBrief, Reply
from tests.servers.answers import sample_of
from tests.servers.messages_rules import violation

REPLIES = sorted(set(ANSWERS.values()), key=lambda makes: makes.__name__)


def objects_in(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for value in node.values():
            yield from objects_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from objects_in(value)


@pytest.mark.parametrize("makes", REPLIES)
class TestEverySchema:
    def test_closes_every_object(self, makes: type[Reply]) -> None:
        assert all(node["additionalProperties"] is False for node in objects_in(schema_of(makes)))

    def test_requires_every_property(self, makes: type[Reply]) -> None:
        assert all(
            set(node["required"]) == set(node["properties"])
            for node in objects_in(schema_of(makes))
        )

    def test_has_an_object_at_its_root(self, makes: type[Reply]) -> None:
        assert schema_of(makes)["type"] == "object"

    def test_uses_supported_keywords_only(self, makes: type[Reply]) -> None:
        body = {
            "max_tokens": 1,
            "messages": [{"role": "user", "content": "x"}],
            "output_config": {"format": {"schema": schema_of(makes)}},
        }

        assert violation(body) == ""

    def test_resolves_every_reference(self, makes: type[Reply]) -> None:
        schema = schema_of(makes)
        encoded = msgspec.json.encode(schema).decode()

        named = {part.split('"', 1)[0] for part in encoded.split('"#/$defs/')[1:]}

        assert named == set(schema.get("$defs", {}))

    def test_describes_values_of_its_type(self, makes: type[Reply]) -> None:
        schema = schema_of(makes)

        value = msgspec.convert(sample_of(schema, schema.get("$defs", {})), makes)

        assert isinstance(value, makes)


def test_an_enum_lists_its_values_and_a_tuple_is_an_array() -> None:
    definitions = schema_of(IdeaBrief)["$defs"]

    assert set(definitions["FieldType"]["enum"]) == {kind.value for kind in FieldType}
    assert definitions["EntityField"]["properties"]["choices"] == {
        "type": "array",
        "items": {"type": "string"},
    }


def test_a_default_of_the_dataclass_does_not_make_a_property_optional() -> None:
    assert EntityField(name="a", type=FieldType.TEXT, required=True, description="").choices == ()
    assert "choices" in schema_of(IdeaBrief)["$defs"]["EntityField"]["required"]
