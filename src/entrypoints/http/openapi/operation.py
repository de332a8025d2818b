"""What the document says of one operation."""

import re
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from inspect import cleandoc
from typing import Final

from litestar.handlers import HTTPRouteHandler

from entrypoints.http.access import ANSWERS, COST
from entrypoints.http.idempotency import HEADER_REPLAYED, OncePerKey
from entrypoints.http.openapi.components import HEADERS, Json
from entrypoints.http.openapi.examples import Examples
from entrypoints.http.openapi.guards import security
from entrypoints.http.openapi.prose import OPERATION_ENDS
from entrypoints.http.openapi.refusals import NOT_COUNTED, domain_errors, refusals
from entrypoints.http.openapi.samples import REQUEST_ID_SAMPLE
from entrypoints.http.problems import MEDIA_TYPE, PROBLEMS, problem_body

_COUNTED = ("RateLimit-Policy", "RateLimit")
_ALWAYS = ("X-Request-Id", *_COUNTED)
_RETRY_LATER = (409, 429, 503)

FACTS: Final[Mapping[str, Json]] = {
    "invalid_request": {"errors": [{"field": "limit", "message": "Expected `int`, got `str`"}]},
    "invalid_value": {"errors": [{"field": "limit", "message": "Ask for 1 to 100 items."}]},
    "rate_limited": {"retry_after_seconds": 5, "violated_policies": ["key-minute"]},
    "idempotency_in_flight": {"retry_after_seconds": 1},
    "run_in_progress": {"run_id": "019a5a3e-0a11-7000-8000-000000000000"},
    "not_found": {"kind": "project", "id": "019a5a3e-0d0c-7000-8000-000000000000"},
}
"""The further members that some codes' answers have."""


class Operation:
    """Completes what the document says of one operation."""

    def __init__(
        self, operation: Json, path: str, handler: HTTPRouteHandler, examples: Examples
    ) -> None:
        self._operation = operation
        self._path = path
        self._handler = handler
        self._examples = examples

    def complete(self) -> None:
        """Say who may call it, what it takes, and all that it may answer."""
        self._operation["description"] = self._description()
        self._operation["security"] = security(self._handler)
        self._parameters()
        self._body()
        successes = {
            status: self._success(status, answer)
            for status, answer in self._operation["responses"].items()
            if int(status) < HTTPStatus.BAD_REQUEST
        }
        self._operation["responses"] = {**successes, **self._problems()}

    def _description(self) -> str:
        text = str(self._operation.get("description", "")).replace("``", "`")
        cost = self._handler.opt.get(COST, 1)
        return text + OPERATION_ENDS.format(cost=cost) if text and cost > 1 else text

    def _parameters(self) -> None:
        fields = self._handler.parsed_fn_signature.parameters
        parameters = self._operation.setdefault("parameters", [])
        for parameter in parameters:
            for flag in ("deprecated", "allowEmptyValue", "allowReserved"):
                parameter.pop(flag, None)
            schema = parameter["schema"] = _without_null(parameter["schema"])
            default = fields[parameter["name"]].default if parameter["name"] in fields else None
            if isinstance(default, Enum):
                schema["default"] = default.value
            if parameter.get("required"):
                # Litestar's word for having none is a number to JSON.
                schema.pop("default", None)
            if parameter.get("required"):
                parameter["example"] = self._examples.of(schema, parameter["name"])
        parameters.append({"$ref": "#/components/parameters/X-Request-Id"})

    def _body(self) -> None:
        body = self._operation.get("requestBody", {})
        for content in body.get("content", {}).values():
            # Litestar requires every body, those that handlers do without too.
            body["required"] = _without_null(content["schema"]) == content["schema"]
            content["example"] = self._examples.of(content["schema"])

    def _success(self, status: str, answer: Json) -> Json:
        content = answer.get("content", {})
        if chosen := self._handler.opt.get(ANSWERS):
            content = {media_type: {"schema": _schema_of(media_type)} for media_type in chosen}
        for media_type, body in content.items():
            if media_type == "application/json":
                body["example"] = self._examples.of(body["schema"])
        once = any(
            field.annotation is OncePerKey
            for field in self._handler.parsed_fn_signature.parameters.values()
        )
        names = [HEADER_REPLAYED] if once else []
        description = HTTPStatus(int(status)).phrase
        return {"description": description, "headers": self._headers(*names), "content": content}

    def _problems(self) -> dict[str, Json]:
        by_status: dict[int, list[str]] = {}
        for code in sorted(refusals(self._handler)):
            by_status.setdefault(PROBLEMS[code].status, []).append(code)
        return {
            str(status): self._problem(status, by_status[status]) for status in sorted(by_status)
        }

    def _problem(self, status: int, codes: list[str]) -> Json:
        headers = self._headers(*["Retry-After"] if status in _RETRY_LATER else [])
        if NOT_COUNTED & set(codes):
            headers |= {name: _optional(HEADERS[name]) for name in _COUNTED}
        return {
            "description": "\n".join(f"- `{code}`: {PROBLEMS[code].title}" for code in codes),
            "headers": headers,
            "content": {
                MEDIA_TYPE: {
                    "schema": {
                        "allOf": [
                            {"$ref": "#/components/schemas/Problem"},
                            # As choices of one type: with "const" generators of clients give up.
                            {
                                "properties": {
                                    "code": {"type": "string", "enum": codes},
                                    "status": {"type": "integer", "enum": [status]},
                                }
                            },
                        ]
                    },
                    "examples": {code: self._example_of(code) for code in codes},
                }
            },
        }

    def _example_of(self, code: str) -> Json:
        path = re.sub(r"\{\w+\}", "019a5a3e-0d0c-7000-8000-000000000000", self._path)
        value = problem_body(code, detail_of(code), path, REQUEST_ID_SAMPLE, FACTS.get(code, {}))
        return {"summary": PROBLEMS[code].title, "value": value}

    def _headers(self, *more: str) -> Json:
        return {name: {"$ref": f"#/components/headers/{name}"} for name in (*_ALWAYS, *more)}


def _optional(header: Json) -> Json:
    return {name: value for name, value in header.items() if name != "required"}


def _schema_of(media_type: str) -> Json:
    return {"type": "object" if media_type.endswith("+json") else "string"}


def detail_of(code: str) -> str:
    """What a code's example says in detail: what its error is said to be."""
    for error in domain_errors():
        if error.code == code and error.__doc__:
            return cleandoc(error.__doc__).split("\n\n")[0].replace("\n", " ").replace("``", "`")
    return PROBLEMS[code].title + "."


def _without_null(schema: Json) -> Json:
    """A parameter cannot be null: it is left out."""
    choices = [each for each in schema.get("oneOf", []) if each.get("type") != "null"]
    if len(choices) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "oneOf"}
    return {**choices[0], **rest}
