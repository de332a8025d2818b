"""What a route may refuse, as codes of the error table: read off its guard and its use cases."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any
from uuid import UUID

from litestar.handlers import HTTPRouteHandler
from litestar.params import BodyKwarg, ParameterKwarg, PathParameter
from litestar.typing import FieldDefinition

from application.identity.reauthenticate import ProofTooOld
from application.ports.live import TicketsUnavailable
from application.ports.object_store import ObjectNotFound, ObjectStoreUnavailable
from application.ports.usage_log import UsageStreamAway
from domain.shared.errors import DomainError
from entrypoints.http.access import OF_OUR_PAGES, OPERATIONS, Requires, public
from entrypoints.http.idempotency import OncePerKey
from entrypoints.http.openapi.guards import own_guards

_WITH_INPUT = ("invalid_request", "invalid_value")
_WITH_BODY = ("malformed_json", "body_too_large", "body_too_slow", "unsupported_media_type")
_WITH_CREDENTIALS = (
    "not_authenticated",
    "malformed_api_key",
    "invalid_api_key",
    "api_key_expired",
    "permission_denied",
    "second_factor_required",
    "insufficient_scope",
    "database_unavailable",
)
NOT_COUNTED = frozenset({"overloaded", "too_many_at_once", "took_too_long"})
"""Answered around the application, by what its limits know: no caller is counted for them."""

_ALWAYS = {"internal_error", *NOT_COUNTED}
_ONCE = ("idempotency_in_flight", "idempotency_mismatch")

ELSEWHERE: Mapping[str, str] = {
    ObjectStoreUnavailable.__name__: "storage_unavailable",
    ObjectNotFound.__name__: "storage_unavailable",
    TicketsUnavailable.__name__: "redis_unavailable",
    UsageStreamAway.__name__: "redis_unavailable",
}
"""Errors that are none of the domain's, and the codes they are answered with."""

_RAISES = re.compile(r"^Raises:\n((?:[ \t]+.*\n?|\n)+)", re.MULTILINE)
_RAISED = re.compile(r"^ {4}(\w+):", re.MULTILINE)


def refusals(handler: HTTPRouteHandler) -> frozenset[str]:
    """The codes of every problem that a call of the route may be answered with."""
    fields = handler.parsed_fn_signature.parameters.values()
    codes = set(_ALWAYS)
    if handler.opt.get(OF_OUR_PAGES):
        codes.add("origin_refused")
    if not handler.opt.get(OPERATIONS):
        codes.add("rate_limited")
    if any(guard is not public for guard in own_guards(handler)):
        codes.update(_WITH_CREDENTIALS)
    if any(isinstance(guard, Requires) and guard.afresh for guard in own_guards(handler)):
        codes.add(ProofTooOld.code)
    if any(_marked(field, ParameterKwarg, BodyKwarg) for field in fields):
        codes.update(_WITH_INPUT)
    if any(_marked(field, PathParameter) and field.annotation is UUID for field in fields):
        codes.add("not_found")
    if any(_marked(field, BodyKwarg) for field in fields):
        codes.update(_WITH_BODY)
    if any(field.annotation is OncePerKey for field in fields):
        codes.update(_ONCE, _WITH_INPUT)
    called = use_cases_called(handler)
    if called:
        codes.add("database_unavailable")
    known = codes_by_name()
    codes.update(known[name] for method in called for name in raised_by(method) if name in known)
    return frozenset(codes)


def use_cases_called(handler: HTTPRouteHandler) -> list[Any]:
    """The methods of use cases that the route's source calls."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(handler.fn)))
    methods: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            methods.setdefault(node.value.id, set()).add(node.attr)
    named = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    through = [
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]
    called = []
    for field in _use_cases(handler):
        called += [getattr(field.annotation, name) for name in methods.get(field.name, ())]
        if named.count(field.name) > through.count(field.name):
            called.append(field.annotation.__call__)
    return called


def raised_by(function: Any) -> list[str]:
    """The names of the errors under ``Raises:`` in a function's docstring."""
    section = _RAISES.search(inspect.cleandoc(function.__doc__ or "") + "\n")
    return _RAISED.findall(section.group(1)) if section else []


def codes_by_name() -> dict[str, str]:
    """Every error's code, by the name of its class."""
    return {error.__name__: error.code for error in domain_errors()} | dict(ELSEWHERE)


def domain_errors(of: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    """The errors of the domain, whatever module they stand in."""
    for error in of.__subclasses__():
        yield error
        yield from domain_errors(error)


def _use_cases(handler: HTTPRouteHandler) -> Iterator[FieldDefinition]:
    for field in handler.parsed_fn_signature.parameters.values():
        kind = field.annotation
        if (
            inspect.isclass(kind)
            and kind.__module__.startswith("application.")
            and not kind.__module__.startswith("application.ports.")
            and is_dataclass(kind)
        ):
            yield field


def _marked(field: FieldDefinition, *markers: type) -> bool:
    """Whether the parameter comes out of the request as one of these."""
    marks = getattr(field.raw, "__metadata__", ())
    return any(isinstance(mark, markers) for mark in marks)
