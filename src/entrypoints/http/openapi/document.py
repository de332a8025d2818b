"""The OpenAPI document of the running application."""

import re
from collections.abc import Iterator
from enum import Enum
from inspect import cleandoc
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from entrypoints.http.openapi.components import HEADERS, PROBLEM, REQUEST_ID, Json, webhook
from entrypoints.http.openapi.examples import Examples
from entrypoints.http.openapi.guards import SCHEMES
from entrypoints.http.openapi.operation import Operation
from entrypoints.http.openapi.prose import DESCRIPTION, TAGS, webhook_summaries

_METHODS = ("get", "put", "post", "delete", "patch")


def describe(app: Litestar) -> Json:
    """The document: what Litestar reads off the handlers, and all that it does not.

    Takes about a second, of one processor; do it off the loop.
    """
    document: Json = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    components = document["components"]
    schemas: dict[str, Json] = components["schemas"]
    _say_what_schemas_are(schemas)
    examples = Examples(schemas)
    handlers = {(path, method): handler for path, method, handler in described_handlers(app)}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                handler = handlers[path, method]
                Operation(item[method], path, handler, examples).complete()
    schemas["Problem"] = PROBLEM
    components["headers"] = dict(HEADERS)
    components["parameters"] = {"X-Request-Id": REQUEST_ID}
    components["securitySchemes"] = SCHEMES
    document["info"]["description"] = DESCRIPTION
    document["security"] = []
    document["servers"] = [{"url": "/", "description": "This platform."}]
    used = {tag for *_, operation in operations(document) for tag in operation.get("tags", ())}
    document["tags"] = [
        {"name": tag, "description": says} for tag, says in TAGS.items() if tag in used
    ]
    document["webhooks"] = {
        type_: {"post": webhook(type_, summary)} for type_, summary in webhook_summaries().items()
    }
    return document


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Path, method and description of every operation."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def described_handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Path as the document has it, method, and handler of every route that is in it."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS" and handler.resolve_include_in_schema():
                yield route.path_format, method.lower(), handler


def operation_id(handler: Any, *_: Any) -> str:
    """A route's name for programs: ``project_create`` of ``ProjectController.create``."""
    owner, _, name = handler.fn.__qualname__.rpartition(".")
    stem = owner.removesuffix("Controller")
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", stem).lower()
    return f"{snake}_{name}".strip("_")


def _say_what_schemas_are(schemas: dict[str, Json]) -> None:
    """Describe each schema by its class's docstring, without what one parameter said of it."""
    kinds = [*_classes(msgspec.Struct), *_classes(Enum)]
    said = {kind.__name__: kind.__doc__ or "" for kind in kinds}
    for name, schema in schemas.items():
        schema.pop("default", None)
        if said.get(name):
            schema["description"] = cleandoc(said[name]).replace("``", "`")
        for field, of_field in schema.get("properties", {}).items():
            schema["properties"][field] = _simple(of_field)


def _classes(of: type[Any]) -> Iterator[type[Any]]:
    subclasses: list[type[Any]] = of.__subclasses__()
    for kind in subclasses:
        if kind.__module__.startswith(("entrypoints.", "domain.", "application.")):
            yield kind
        yield from _classes(kind)


def _simple(schema: Json) -> Json:
    """A choice of one is no choice."""
    choices = schema.get("oneOf", [])
    return choices[0] if len(choices) == 1 else schema
