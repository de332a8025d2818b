"""The application and its OpenAPI document, and holding answers to it."""

import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
from litestar import Litestar

from adapters.security import generate_box_key, generate_pepper, generate_signing_key
from entrypoints.http.app import create_app
from entrypoints.http.openapi.document import describe, operations
from entrypoints.http.problems import MEDIA_TYPE
from entrypoints.settings import Settings

DOCUMENT = "urn:bharatbuild:openapi"


@cache
def application() -> Litestar:
    """The application, with nothing behind it."""
    return create_app(
        Settings(
            database_url="postgresql://nowhere/none",
            database_dispatch_url="postgresql://nowhere/none",
            redis_url="redis://nowhere",
            s3_endpoint="http://nowhere",
            s3_access_key="none",
            s3_secret_key="none",
            jwt_signing_key=generate_signing_key()[1],
            api_key_peppers=generate_pepper(),
            secret_box_keys=generate_box_key(),
        )
    )


@cache
def document() -> dict[str, Any]:
    """Its description."""
    return describe(application())


def validator(schema: dict[str, Any]) -> Any:
    """What checks values against a schema of the document."""
    return jsonschema_rs.Draft202012Validator(
        _absolute(schema), registry=_registry(), validate_formats=True
    )


def operation_met(method: str, path: str) -> dict[str, Any] | None:
    """The operation that a request meets, if the document has it."""
    for pattern, of_method, operation in _patterns():
        if of_method == method.lower() and pattern.fullmatch(path):
            return operation
    return None


async def as_documented(answer: httpx.Response) -> None:
    """Fail if the document does not say that its request may be answered so.

    A hook for clients: whatever a test does, its answers are held to the document.
    """
    operation = operation_met(answer.request.method, answer.request.url.path)
    if operation is None or "x-request-id" not in answer.headers:
        return  # the server itself refused what is not HTTP
    status = str(answer.status_code)
    assert status in operation["responses"], f"{operation['operationId']} answered {status}"
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if media_type != MEDIA_TYPE:
        return
    await answer.aread()
    problem = answer.json()
    codes = operation["responses"][status]["content"][MEDIA_TYPE]["examples"]
    assert problem["code"] in codes, (
        f"{operation['operationId']} answered {problem['code']}, which the document does not say: "
        f"add its error to 'Raises:' of the use case that it calls"
    )


@cache
def _patterns() -> list[tuple[re.Pattern[str], str, dict[str, Any]]]:
    """Every operation with its path as a pattern, those with fewer parameters first."""
    found = sorted(operations(document()), key=lambda each: each[0].count("{"))
    return [
        (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), method, operation)
        for path, method, operation in found
    ]


@cache
def _registry() -> Any:
    return jsonschema_rs.Registry([(DOCUMENT, document())])


def _absolute(schema: Any) -> Any:
    """The schema with its references made to the document."""
    if isinstance(schema, dict):
        return {
            key: f"{DOCUMENT}{value}" if key == "$ref" else _absolute(value)
            for key, value in schema.items()
        }
    return [_absolute(each) for each in schema] if isinstance(schema, list) else schema
