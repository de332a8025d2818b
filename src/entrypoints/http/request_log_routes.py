"""What was asked for with keys: requests, sums of hours and days, CSV, and a key's live figure."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from application.keys.show_requests import ExportRequests, ListRequests, ShowKeyUsage, SumRequests
from application.ports.security import Principal
from application.ports.usage_log import (
    KeptRequest,
    LogPosition,
    RequestFilter,
    RequestSum,
    StatusClass,
    SumSpan,
)
from domain.billing.days import INDIA
from domain.identity.user import Permission
from domain.keys.usage_log import Window
from domain.shared.errors import InvalidValue
from domain.shared.ids import ApiKeyId
from domain.shared.moments import given_moment
from entrypoints.http.access import requires
from entrypoints.http.attachments import attachment
from entrypoints.http.csv_stream import CSV, csv_of
from entrypoints.http.cursors import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    check_limit,
    key_cursor_after,
    key_of,
)
from entrypoints.http.days import Since, Until, days_asked
from entrypoints.http.routing import get

Status = Annotated[
    StatusClass | None, QueryParameter(name="status", description="2xx, 3xx, 4xx or 5xx.")
]
Route = Annotated[
    str, QueryParameter(description="Method and template, as a request's 'route' shows them.")
]

COLUMNS = (
    "at",
    "id",
    "api_key_id",
    "route",
    "status",
    "latency_ms",
    "request_id",
    "run_id",
    "tokens",
    "credits",
    "requests",
)
"""The columns of an export, in order."""


class LoggedRequestView(msgspec.Struct):
    """A request with a key. ``tokens`` and ``credits`` are those of the run that it started,
    as far as that is settled. ``requests`` is 1, or how many requests in a row it stands for that
    were refused for their rate (429): it is the first of them, and took what they took on
    average."""

    id: UUID
    at: datetime
    api_key_id: UUID
    route: str
    status: int
    latency_ms: float
    request_id: str
    run_id: UUID | None
    tokens: int
    credits: int
    requests: int

    @classmethod
    def of(cls, kept: KeptRequest) -> "LoggedRequestView":
        request = kept.request
        return cls(
            id=request.id,
            at=request.at,
            api_key_id=request.key_id,
            route=request.route,
            status=request.status,
            latency_ms=request.latency_us / 1_000,
            request_id=request.request_id,
            run_id=request.run_id,
            tokens=kept.tokens,
            credits=kept.credits,
            requests=request.requests,
        )


class LoggedRequestPageView(msgspec.Struct):
    """A page of requests, newest first."""

    items: list[LoggedRequestView]
    next_cursor: str | None


class RequestSumView(msgspec.Struct):
    """What an hour or a day of India's clock came to. ``tokens`` and ``credits`` are those of
    keys' steps settled in it; null when only some routes or statuses are summed."""

    begins: datetime
    requests: int
    succeeded: int
    client_errors: int
    server_errors: int
    average_latency_ms: float
    tokens: int | None
    credits: int | None

    @classmethod
    def of(cls, sum_: RequestSum) -> "RequestSumView":
        return cls(
            begins=sum_.begins.astimezone(INDIA),
            requests=sum_.requests,
            succeeded=sum_.succeeded,
            client_errors=sum_.client_errors,
            server_errors=sum_.server_errors,
            average_latency_ms=round(sum_.latency_us / max(sum_.requests, 1) / 1_000, 3),
            tokens=sum_.tokens,
            credits=sum_.credits,
        )


class RequestSumPageView(msgspec.Struct):
    """A page of sums, newest first; ``next_cursor`` asks for the next page."""

    by: str
    time_zone: str
    items: list[RequestSumView]
    next_cursor: str | None


class KeyUsageView(msgspec.Struct):
    """Requests of a key in this minute, hour and day of India's clock, as of this moment."""

    api_key_id: UUID
    time_zone: str
    minute: int
    hour: int
    day: int


class RequestLogController(Controller):
    """The usage log."""

    path = "/usage/requests"
    tags = ("API keys",)

    @get("", guards=[requires(Permission.ACCOUNT_READ)], summary="List keyed requests")
    async def page(
        self,
        principal: NamedDependency[Principal],
        list_requests: NamedDependency[ListRequests],
        since: Since = "",
        until: Until = "",
        key_id: FromQuery[UUID | None] = None,
        status: Status = None,
        route: Route = "",
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> LoggedRequestPageView:
        """Every request with one of your keys, newest first, a few seconds after its answer.

        Of requests refused for their rate (429) the first is an item of its own, and those that
        follow within ten seconds are one.
        """
        check_limit(limit)
        only = _only(since, until, key_id, status, route)
        kept = await list_requests(principal.user_id, only, _position(cursor), limit + 1)
        items = [LoggedRequestView.of(each) for each in kept]
        return LoggedRequestPageView(
            items=items[:limit],
            next_cursor=key_cursor_after(
                [f"{item.at.isoformat()} {item.id}" for item in items], limit
            ),
        )

    @get("/sums", guards=[requires(Permission.ACCOUNT_READ)], summary="Sum up keyed requests")
    async def sums(
        self,
        principal: NamedDependency[Principal],
        sum_requests: NamedDependency[SumRequests],
        by: FromQuery[SumSpan] = SumSpan.DAY,
        since: Since = "",
        until: Until = "",
        key_id: FromQuery[UUID | None] = None,
        status: Status = None,
        route: Route = "",
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> RequestSumPageView:
        """Requests by hour or day, and what keys' runs used in it; hours without any are left out.

        Sums outlive the requests that they are of.
        """
        check_limit(limit)
        sums = await sum_requests(
            principal.user_id,
            _only(since, until, key_id, status, route),
            by,
            _moment(key_of(cursor)),
            limit + 1,
        )
        return RequestSumPageView(
            by=by.value,
            time_zone="Asia/Kolkata",
            items=[RequestSumView.of(each) for each in sums[:limit]],
            next_cursor=key_cursor_after([each.begins.isoformat() for each in sums], limit),
        )

    @get(
        "/export",
        guards=[requires(Permission.ACCOUNT_READ)],
        media_type="text/csv",
        summary="Export keyed requests",
    )
    async def export(
        self,
        principal: NamedDependency[Principal],
        export_requests: NamedDependency[ExportRequests],
        since: Since = "",
        until: Until = "",
        key_id: FromQuery[UUID | None] = None,
        status: Status = None,
        route: Route = "",
    ) -> Stream:
        """Every request with one of your keys, oldest first, as CSV; streamed."""
        only = _only(since, until, key_id, status, route)
        batches = await export_requests(principal.user_id, only)
        days = "-".join(day for day in (since, until) if day) or "all"
        return Stream(
            csv_of(COLUMNS, batches, _cells),
            media_type=CSV,
            headers=attachment(f"requests-{days}.csv"),
        )


@get(
    "/api-keys/{key_id:str}/usage",
    guards=[requires(Permission.KEYS_MANAGE)],
    tags=["API keys"],
    summary="Show a key's live figure",
)
async def key_usage(
    key_id: FromPath[UUID],
    principal: NamedDependency[Principal],
    show_key_usage: NamedDependency[ShowKeyUsage],
) -> KeyUsageView:
    """Requests of the key so far in this minute, hour and day, without looking at the log."""
    counts = await show_key_usage(principal.user_id, ApiKeyId(key_id))
    return KeyUsageView(
        api_key_id=key_id,
        time_zone="Asia/Kolkata",
        minute=counts[Window.MINUTE],
        hour=counts[Window.HOUR],
        day=counts[Window.DAY],
    )


def _only(
    since: str, until: str, key_id: UUID | None, status: StatusClass | None, route: str
) -> RequestFilter:
    return RequestFilter(
        days=days_asked(since, until),
        key_id=None if key_id is None else ApiKeyId(key_id),
        status=status,
        route=route or None,
    )


def _position(cursor: str) -> LogPosition | None:
    key = key_of(cursor)
    if key is None:
        return None
    moment, _, id_ = key.partition(" ")
    at = _moment(moment)
    try:
        if at is None:
            raise ValueError(moment)
        return LogPosition(at=at, id=UUID(id_))
    except ValueError as error:
        raise _not_ours() from error


def _moment(given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        return given_moment("cursor", datetime.fromisoformat(given))
    except (ValueError, InvalidValue) as error:
        raise _not_ours() from error


def _not_ours() -> InvalidValue:
    return InvalidValue("cursor", "Use a next_cursor of the same listing, or leave it out.")


def _cells(kept: KeptRequest) -> tuple[object, ...]:
    request = kept.request
    return (
        request.at.isoformat(timespec="microseconds"),
        request.id,
        request.key_id,
        request.route,
        request.status,
        request.latency_us / 1_000,
        _plain(request.request_id),
        request.run_id or "",
        kept.tokens,
        kept.credits,
        request.requests,
    )


def _plain(text: str) -> str:
    """A request's id is the caller's to choose: no spreadsheet shall take one for a formula."""
    return f"'{text}" if text.startswith(("-", "=", "+", "@")) else text
