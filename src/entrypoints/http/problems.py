"""Errors as RFC 9457 problem details: one table from codes to answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.types import ExceptionHandlersMap

from application.ports.live import TicketsUnavailable
from application.ports.object_store import ObjectNotFound, ObjectStoreUnavailable
from application.ports.usage_log import UsageStreamAway
from domain.shared.errors import DomainError

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

_BODY = "data"
"""What handlers call the body they are given."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its HTTP status and its title, the same for every occurrence."""

    status: int
    title: str


PROBLEMS: Mapping[str, Kind] = MappingProxyType(
    {
        "invalid_value": Kind(422, "A value does not fit"),
        "invalid_request": Kind(422, "The request does not fit"),
        "malformed_json": Kind(400, "The body is not JSON"),
        "not_authenticated": Kind(401, "Sign in first"),
        "malformed_api_key": Kind(401, "This is no API key"),
        "invalid_api_key": Kind(401, "The API key is not valid here"),
        "api_key_expired": Kind(401, "The API key has expired"),
        "invalid_credentials": Kind(401, "Email or password is wrong"),
        "refresh_refused": Kind(401, "The session is over"),
        "origin_refused": Kind(403, "Not from this page"),
        "challenge_over": Kind(401, "The sign-in is over"),
        "wrong_code": Kind(403, "The code is wrong"),
        "reauthentication_failed": Kind(403, "Prove who you are"),
        "proof_too_old": Kind(403, "Prove anew who you are"),
        "second_factor_required": Kind(403, "A second factor is needed"),
        "second_factor_kept": Kind(409, "The role needs a second factor"),
        "no_second_factor": Kind(409, "There is no second factor"),
        "identity_taken": Kind(409, "The identity is linked"),
        "last_way_in": Kind(409, "There is no other way in"),
        "permission_denied": Kind(403, "Not allowed"),
        "insufficient_scope": Kind(403, "The API key is not for this"),
        "mode_not_allowed": Kind(403, "The API key is not for this mode"),
        "own_standing": Kind(409, "Not of yourself"),
        "last_admin": Kind(409, "No admin would be left"),
        "own_proposal": Kind(403, "Another admin decides"),
        "adjustment_decided": Kind(409, "Somebody decided"),
        "adjustment_expired": Kind(409, "The proposal has expired"),
        "not_found": Kind(404, "Not found"),
        "method_not_allowed": Kind(405, "Method not allowed"),
        "email_taken": Kind(409, "An account exists"),
        "account_in_use": Kind(409, "Something goes on"),
        "link_refused": Kind(401, "The link is not valid any more"),
        "idempotency_in_flight": Kind(409, "The first request is not finished"),
        "idempotency_mismatch": Kind(422, "The key belongs to another request"),
        "conflict": Kind(409, "The present state forbids it"),
        "project_busy": Kind(409, "The project is being executed"),
        "run_in_progress": Kind(409, "A run is in progress"),
        "run_not_live": Kind(409, "The run has ended"),
        "run_succeeded": Kind(409, "The run succeeded"),
        "nothing_to_archive": Kind(409, "Nothing to download yet"),
        "price_exists": Kind(409, "A price is there already"),
        "plan_does_not_allow_mode": Kind(403, "Your plan does not include this mode"),
        "plan_does_not_allow_export": Kind(403, "Your plan does not include this format"),
        "plan_not_on_sale": Kind(409, "The plan is not for sale"),
        "plan_changed": Kind(409, "The plan has changed"),
        "subscription_state": Kind(409, "The subscription's state forbids it"),
        "already_subscribed": Kind(409, "There is a subscription"),
        "trial_not_available": Kind(409, "No trial"),
        "no_subscription": Kind(409, "There is no subscription"),
        "no_free_seat": Kind(409, "Every seat is given"),
        "seat_taken": Kind(409, "There is a seat already"),
        "too_many_webhook_endpoints": Kind(409, "No more endpoints"),
        "webhook_endpoint_disabled": Kind(409, "The endpoint is switched off"),
        "webhook_test_pending": Kind(409, "A test is on its way"),
        "insufficient_credits": Kind(402, "Not enough credits"),
        "credits_owed": Kind(402, "Credits are owed"),
        "order_not_open": Kind(409, "The order has ended"),
        "payment_mismatch": Kind(409, "The payment does not fit its order"),
        "nothing_to_refund": Kind(409, "More than is left to give back"),
        "coupon_not_usable": Kind(409, "The coupon does not apply"),
        "coupon_exhausted": Kind(409, "The coupon is used up"),
        "coupon_already_used": Kind(409, "The coupon was used"),
        "coupon_code_taken": Kind(409, "The code is taken"),
        "gateway_refused": Kind(409, "The payment gateway refused"),
        "signature_invalid": Kind(400, "The signature does not fit"),
        "key_cap_reached": Kind(402, "The API key's credits are used up"),
        "key_revoked": Kind(409, "The key is revoked"),
        "key_rotating": Kind(409, "The key is being rotated"),
        "too_many_keys": Kind(409, "Too many keys"),
        "rate_limited": Kind(429, "Too many requests"),
        "too_many_at_once": Kind(429, "Too many requests at once"),
        "body_too_slow": Kind(408, "The body is too slow"),
        "body_too_large": Kind(413, "The body is too large"),
        "unsupported_media_type": Kind(415, "Send JSON"),
        "overloaded": Kind(503, "No room at the moment"),
        "took_too_long": Kind(504, "It takes too long"),
        "unknown_price": Kind(503, "No price is known"),
        "database_unavailable": Kind(503, "The database is away"),
        "storage_unavailable": Kind(503, "The storage is away"),
        "redis_unavailable": Kind(503, "Tickets and live figures are away"),
        "gateway_unavailable": Kind(503, "The payment gateway is away"),
        "provider_unavailable": Kind(503, "The other side is away"),
        "provider_not_configured": Kind(503, "Not set up here"),
        "payments_not_configured": Kind(503, "Nothing can be bought here"),
        "internal_error": Kind(500, "Something broke on our side"),
    }
)
"""Every code an answer can carry. A domain error whose code is not here is our fault: 500."""

_BY_STATUS: Mapping[int, str] = MappingProxyType(
    {
        400: "malformed_json",
        401: "not_authenticated",
        403: "permission_denied",
        404: "not_found",
        405: "method_not_allowed",
        413: "body_too_large",
        415: "unsupported_media_type",
    }
)


def problem(
    request: Request[Any, Any, Any],
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, object] | None = None,
) -> Response[bytes]:
    """An answer in problem details, with the code, the request's id and further members."""
    kind = PROBLEMS[code]
    request_id = request.scope.get("state", {}).get("request_id", "")
    body = problem_body(code, detail, request.url.path, request_id, extensions or {})
    more = dict(headers or {})
    if kind.status == HTTPStatus.UNAUTHORIZED:
        more["WWW-Authenticate"] = 'Bearer realm="bharatbuild", ApiKey realm="bharatbuild"'
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        more["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return Response(
        msgspec.json.encode(body),
        status_code=kind.status,
        media_type=MEDIA_TYPE,
        headers=more,
    )


def problem_body(
    code: str, detail: str, path: str, request_id: str, extensions: Mapping[str, object]
) -> dict[str, object]:
    """The members of an answer in problem details; no fact stands in place of one of those."""
    kind = PROBLEMS[code]
    return {
        **extensions,
        "type": f"urn:bharatbuild:problem:{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": path,
        "code": code,
        "request_id": request_id,
    }


def answer_to(request: Request[Any, Any, Any], error: DomainError) -> Response[bytes]:
    """The answer to an error of the domain; one whose code has none is our fault."""
    if error.code not in PROBLEMS:
        return _unexpected(request, error)
    headers = {}
    if "retry_after_seconds" in error.params:
        headers["Retry-After"] = str(error.params["retry_after_seconds"])
    params = dict(error.params)
    if "field" in params:
        field = params.pop("field")
        params["errors"] = [{"field": field, "message": error.message}]
    return problem(request, error.code, error.message, headers, params)


def _validation(request: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    errors = [
        {"field": _field(entry), "message": _message(entry)}
        for entry in (error.extra if isinstance(error.extra, list) else [])
        if isinstance(entry, dict)
    ]
    named = ", ".join(entry["field"] for entry in errors if entry["field"])
    detail = f"Look at: {named}." if named else error.detail
    return problem(request, "invalid_request", detail, extensions={"errors": errors})


def _field(entry: Mapping[str, Any]) -> str:
    """The path of the field, e.g. ``title``: the message names it where the key does not."""
    key = str(entry.get("key", ""))
    if key and key != _BODY:
        return key
    message = str(entry.get("message", ""))
    for before, after in (("unknown field `", "`"), ("missing required field `", "`")):
        if before in message:
            return message.split(before, 1)[1].split(after, 1)[0]
    if "`$." in message:
        return message.rsplit("`$.", 1)[1].rstrip("`")
    # What our handlers call the body is no field of anybody's.
    return "body" if key == _BODY else key


def _message(entry: Mapping[str, Any]) -> str:
    message = str(entry.get("message", ""))
    # A body that is not there is a key that is not there, to Litestar.
    return "Send a JSON object." if message == repr(_BODY) else message


def _malformed(request: Request[Any, Any, Any], error: SerializationException) -> Response[bytes]:
    return problem(request, "malformed_json", "Send a body of valid JSON in UTF-8.")


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    code = _BY_STATUS.get(error.status_code)
    if code is None:
        return _unexpected(request, error)
    if code == "malformed_json":
        return problem(request, code, error.detail or "Send a body of valid JSON in UTF-8.")
    headers = {name: str(value) for name, value in (error.headers or {}).items()}
    allow = {name: value for name, value in headers.items() if name.lower() == "allow"}
    return problem(request, code, error.detail, allow)


def _storage(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.warning("storage away", error=str(error))
    return problem(
        request, "storage_unavailable", "The object storage does not answer. Try again shortly."
    )


def _tickets(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return problem(
        request, "redis_unavailable", "No stream ticket can be given now. Try again shortly."
    )


def _counts(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return problem(
        request, "redis_unavailable", "The live figure is not known now. Try again shortly."
    )


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("unexpected error", path=request.url.path, exc_info=error)
    return problem(
        request,
        "internal_error",
        "Something broke on our side and was recorded. Give the request id when you report it.",
    )


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    DomainError: answer_to,
    ValidationException: _validation,
    SerializationException: _malformed,
    HTTPException: _http,
    ObjectStoreUnavailable: _storage,
    ObjectNotFound: _storage,
    TicketsUnavailable: _tickets,
    UsageStreamAway: _counts,
    Exception: _unexpected,
}
