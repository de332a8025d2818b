"""What was used: sums, and every line as CSV."""

from uuid import UUID

import msgspec
from litestar import Controller
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream

from application.billing.export_usage import ExportUsage
from application.billing.show_usage import ShowUsage, UsageQuery
from application.ports.security import Principal
from application.ports.usage import UsageFilter, UsageGroup, UsageLine, UsageSum
from domain.billing.days import day_of
from domain.identity.user import Permission
from domain.shared.ids import ProjectId
from domain.shared.money import rupees
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

COLUMNS = (
    "day",
    "settled_at",
    "project_id",
    "run_id",
    "step",
    "mode",
    "model",
    "api_key_id",
    "input_tokens",
    "output_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
    "credits",
    "rupees",
    "cost_nano_usd",
    "paise_per_usd",
)
"""The columns of an export, in order."""


class UsageSumView(msgspec.Struct):
    """What a group came to. ``key`` is its day, project, model or API key, the last empty
    for runs that no key asked for; ``title`` is a project's, or an API key's name."""

    key: str
    title: str
    steps: int
    runs: int
    input_tokens: int
    output_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    cache_read_tokens: int
    tokens: int
    credits: int
    cost: str
    cost_nano_usd: int

    @classmethod
    def of(cls, sum_: UsageSum) -> "UsageSumView":
        usage = sum_.usage
        return cls(
            key=sum_.key,
            title=sum_.title,
            steps=sum_.steps,
            runs=sum_.runs,
            input_tokens=usage.input,
            output_tokens=usage.output,
            cache_write_tokens=usage.cache_write,
            cache_write_1h_tokens=usage.cache_write_1h,
            cache_read_tokens=usage.cache_read,
            tokens=usage.total,
            credits=sum_.credits,
            cost=rupees(sum_.credits),
            cost_nano_usd=sum_.cost_nano_usd,
        )


class UsagePageView(msgspec.Struct):
    """A page of groups, and what all of them come to; ``next_cursor`` asks for the next page."""

    group_by: str
    time_zone: str
    total: UsageSumView
    items: list[UsageSumView]
    next_cursor: str | None


class UsageController(Controller):
    """The account of usage."""

    path = "/usage"
    tags = ("Billing",)

    @get("", guards=[requires(Permission.PROJECTS_READ)], summary="Sum up usage")
    async def sums(
        self,
        principal: NamedDependency[Principal],
        show_usage: NamedDependency[ShowUsage],
        group_by: FromQuery[UsageGroup] = UsageGroup.DAY,
        since: Since = "",
        until: Until = "",
        project_id: FromQuery[UUID | None] = None,
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> UsagePageView:
        """What was charged, to the credit, by day (newest first), project, model or API key."""
        check_limit(limit)
        total, groups = await show_usage(
            UsageQuery(
                user_id=principal.user_id,
                by=group_by,
                only=_only(since, until, project_id),
                limit=limit + 1,
                after=key_of(cursor),
            )
        )
        return UsagePageView(
            group_by=group_by.value,
            time_zone="Asia/Kolkata",
            total=UsageSumView.of(total),
            items=[UsageSumView.of(group) for group in groups[:limit]],
            next_cursor=key_cursor_after([group.key for group in groups], limit),
        )

    @get(
        "/export",
        guards=[requires(Permission.PROJECTS_READ)],
        media_type="text/csv",
        summary="Export usage",
    )
    async def export(
        self,
        principal: NamedDependency[Principal],
        export_usage: NamedDependency[ExportUsage],
        since: Since = "",
        until: Until = "",
        project_id: FromQuery[UUID | None] = None,
    ) -> Stream:
        """Every settled step, oldest first, as CSV; streamed, however many there are."""
        batches = await export_usage(principal.user_id, _only(since, until, project_id))
        days = "-".join(day for day in (since, until) if day) or "all"
        return Stream(
            csv_of(COLUMNS, batches, _cells),
            media_type=CSV,
            headers=attachment(f"usage-{days}.csv"),
        )


def _only(since: str, until: str, project_id: UUID | None) -> UsageFilter:
    return UsageFilter(
        days=days_asked(since, until),
        project_id=None if project_id is None else ProjectId(project_id),
    )


def _cells(line: UsageLine) -> tuple[object, ...]:
    step, usage = line.step, line.step.usage
    return (
        day_of(line.at).isoformat(),
        line.at.isoformat(timespec="microseconds"),
        step.project_id,
        step.run_id,
        step.step,
        step.mode,
        step.model,
        step.api_key_id or "",
        usage.input,
        usage.output,
        usage.cache_write,
        usage.cache_write_1h,
        usage.cache_read,
        step.credits,
        rupees(step.credits).removeprefix("₹"),
        step.cost_nano_usd,
        step.paise_per_usd,
    )
