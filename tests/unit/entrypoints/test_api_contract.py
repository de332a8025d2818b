"""Nothing that partners rely on under ``/api/v1`` is lost without somebody deciding it."""

import copy
from functools import cache
from typing import Any

import msgspec
import pytest

from tests.api_contract import difference, facts, kept
from tests.described import document

REQUEST, ANSWER = "CreateProjectRequest", "ProjectView"


def changed() -> tuple[dict[str, Any], dict[str, Any]]:
    """A copy of the document to change, and its schemas."""
    copied = msgspec.json.decode(written())
    return copied, copied["components"]["schemas"]


@cache
def written() -> bytes:
    return msgspec.json.encode(document())


@cache
def offered() -> set[str]:
    return facts(document())


def breaking(described: dict[str, Any]) -> str:
    return "\n".join(difference(offered(), facts(described)).breaking)


def additive(described: dict[str, Any]) -> str:
    found = difference(offered(), facts(described))
    assert not found.breaking
    return "\n".join(found.additive)


def test_the_api_is_what_partners_rely_on() -> None:
    found = difference(kept(), offered())
    assert not found.breaking, (
        "these break partners under /api/v1: keep them as they were, or add a new field or route "
        "beside them. If nobody can have relied on them yet: make api-contract BREAKING=yes"
    )
    assert not found.additive, "this breaks nobody: accept it with `make api-contract`"


def test_a_removed_operation_breaks() -> None:
    described, _ = changed()
    del described["paths"]["/api/v1/projects"]["get"]
    assert "GET /api/v1/projects is project_page" in breaking(described)


def test_a_removed_field_of_an_answer_breaks() -> None:
    described, schemas = changed()
    del schemas[ANSWER]["properties"]["title"]
    assert breaking(described) == f"{ANSWER} has title: string"


def test_a_field_of_an_answer_that_may_be_missing_breaks() -> None:
    described, schemas = changed()
    schemas[ANSWER]["required"].remove("title")
    assert breaking(described) == f"{ANSWER} has title: string"


def test_another_type_breaks() -> None:
    described, schemas = changed()
    schemas[ANSWER]["properties"]["progress"] = {"type": "string"}
    assert breaking(described) == f"{ANSWER} has progress: integer"


def test_a_removed_value_breaks() -> None:
    described, schemas = changed()
    schemas["Mode"]["enum"].remove("founder")
    assert breaking(described) == "Mode knows founder"


def test_a_new_field_that_requests_must_have_breaks() -> None:
    described, schemas = changed()
    schemas[REQUEST]["properties"]["colour"] = {"type": "string"}
    schemas[REQUEST]["required"].append("colour")
    assert breaking(described) == f"{REQUEST} requires colour: string"


def test_another_scope_breaks() -> None:
    described, _ = changed()
    described["paths"]["/api/v1/projects"]["get"]["security"] = [{"bearer": ["users:read"]}]
    assert "needs api_key projects:read" in breaking(described)


@pytest.mark.parametrize("required", [False, True])
def test_a_new_field_of_an_answer_is_additive(required: bool) -> None:
    described, schemas = changed()
    schemas[ANSWER]["properties"]["colour"] = {"type": "string"}
    if required:
        schemas[ANSWER]["required"].append("colour")
    assert "colour: string" in additive(described)


def test_a_new_field_that_requests_may_have_is_additive() -> None:
    described, schemas = changed()
    schemas[REQUEST]["properties"]["colour"] = {"type": "string"}
    assert additive(described) == f"{REQUEST} takes colour: string"


def test_asking_for_less_is_additive() -> None:
    described, schemas = changed()
    schemas[REQUEST]["required"].remove("idea")
    assert additive(described)


def test_a_body_that_may_be_left_out_is_additive() -> None:
    described, _ = changed()
    body = described["paths"]["/api/v1/projects"]["post"]["requestBody"]
    content = body["content"]["application/json"]
    body["required"] = False
    content["schema"] = {"oneOf": [content["schema"], {"type": "null"}]}
    assert f"takes body application/json: {REQUEST}|null" in additive(described)


def test_a_new_operation_is_additive_whatever_it_asks() -> None:
    described, schemas = changed()
    schemas["PaintRequest"] = {
        "type": "object",
        "required": ["colour"],
        "properties": {"colour": {"type": "string"}},
    }
    operation = copy.deepcopy(described["paths"]["/api/v1/projects"]["post"])
    body = operation["requestBody"]["content"]["application/json"]
    body["schema"] = {"$ref": "#/components/schemas/PaintRequest"}
    described["paths"]["/api/v1/paintings"] = {"post": operation}
    assert "PaintRequest requires colour: string" in additive(described)
