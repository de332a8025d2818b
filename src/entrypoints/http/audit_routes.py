"""The audit log: to a person what is theirs, to admins all of it; in pages and as a file."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Controller
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from application.audit.read_audit import OverseeAudit, ReadOwnAudit
from application.ports.audit import AuditEntry, AuditQuery
from application.ports.security import Principal
from domain.audit.act import AuditAction
from domain.identity.user import Permission
from domain.shared.ids import UserId
from entrypoints.http.access import ANSWERS, COST, requires, signed_in
from entrypoints.http.attachments import attachment
from entrypoints.http.audit_files import (
    AuditEntryView,
    ExportFormat,
    OverseenAuditEntryView,
    written,
)
from entrypoints.http.cursors import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    check_limit,
    number_cursor_after,
    number_of,
)
from entrypoints.http.routing import get

JSON_LINES: Final = "application/jsonl"
TEXT_CSV: Final = "text/csv"
EXPORTS = (TEXT_CSV, JSON_LINES)


class AuditPageView(msgspec.Struct):
    """Acts, newest first; ``next_cursor`` gets the following page, if there is one."""

    items: list[AuditEntryView]
    next_cursor: str | None


class OverseenAuditPageView(msgspec.Struct):
    """Acts, newest first; ``next_cursor`` gets the following page, if there is one."""

    items: list[OverseenAuditEntryView]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What both listings and both exports are narrowed by."""

    action: AuditAction | None
    since: datetime | None
    until: datetime | None
    subject_id: str

    def query(self, limit: int, cursor: str = "", actor: UserId | None = None) -> AuditQuery:
        """The query, one entry longer than a page, to see whether another follows.

        Raises:
            InvalidValue: the cursor is not one of ours, or the limit is out of range.
        """
        check_limit(limit)
        return AuditQuery(
            limit=limit + 1,
            before=number_of(cursor) if cursor else None,
            action=self.action,
            since=self.since,
            until=self.until,
            actor=actor,
            subject_id=self.subject_id,
        )


def provide_asked(
    action: FromQuery[AuditAction | None] = None,
    since: Annotated[
        datetime | None, QueryParameter(description="From this moment on, with its offset.")
    ] = None,
    until: Annotated[
        datetime | None, QueryParameter(description="Before this moment, with its offset.")
    ] = None,
    subject_id: Annotated[str, QueryParameter(description="What was acted on.")] = "",
) -> Asked:
    """The filters of this request."""
    return Asked(action=action, since=since, until=until, subject_id=subject_id.strip())


_ASKED: Final = {"asked": Provide(provide_asked, sync_to_thread=False)}


class AccountAuditController(Controller):
    """What was done on what is the person's. Not for keys: it tells where they sign in from."""

    path = "/account/audit"
    tags = ("Identity",)
    dependencies = _ASKED

    @get("", guards=[signed_in], summary="List what was done")
    async def own(
        self,
        principal: NamedDependency[Principal],
        read_own_audit: NamedDependency[ReadOwnAudit],
        asked: NamedDependency[Asked],
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> AuditPageView:
        """Newest first: of one action, on one thing, or within a time, if asked."""
        entries = await read_own_audit(principal.user_id, asked.query(limit, cursor))
        return AuditPageView(
            items=[AuditEntryView.of(entry) for entry in entries[:limit]],
            next_cursor=number_cursor_after([entry.number for entry in entries], limit),
        )

    @get(
        "/export",
        guards=[signed_in],
        opt={COST: 10, ANSWERS: EXPORTS},
        summary="Export what was done",
    )
    async def own_export(
        self,
        principal: NamedDependency[Principal],
        read_own_audit: NamedDependency[ReadOwnAudit],
        asked: NamedDependency[Asked],
        format: FromQuery[ExportFormat] = ExportFormat.CSV,
    ) -> Stream:
        """All of it that fits, newest first, as CSV or a JSON object a line; streamed."""
        batches = await read_own_audit.export(principal.user_id, asked.query(DEFAULT_LIMIT))
        return _file(batches, AuditEntryView.of, AuditEntryView, format)


class AdminAuditController(Controller):
    """Everybody's audit log."""

    path = "/admin/audit"
    tags = ("Operation",)
    dependencies = _ASKED

    @get("", guards=[requires(Permission.AUDIT_READ)], summary="List what everybody did")
    async def overseen(
        self,
        oversee_audit: NamedDependency[OverseeAudit],
        asked: NamedDependency[Asked],
        user_id: Annotated[UUID | None, QueryParameter(description="Whose record.")] = None,
        actor_id: Annotated[UUID | None, QueryParameter(description="Who acted.")] = None,
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> OverseenAuditPageView:
        """Newest first: of one record, one actor, one action, one thing, or within a time."""
        entries = await oversee_audit(asked.query(limit, cursor, _user(actor_id)), _user(user_id))
        return OverseenAuditPageView(
            items=[OverseenAuditEntryView.of(entry) for entry in entries[:limit]],
            next_cursor=number_cursor_after([entry.number for entry in entries], limit),
        )

    @get(
        "/export",
        guards=[requires(Permission.AUDIT_READ)],
        opt={COST: 10, ANSWERS: EXPORTS},
        summary="Export what everybody did",
    )
    async def overseen_export(
        self,
        oversee_audit: NamedDependency[OverseeAudit],
        asked: NamedDependency[Asked],
        user_id: Annotated[UUID | None, QueryParameter(description="Whose record.")] = None,
        actor_id: Annotated[UUID | None, QueryParameter(description="Who acted.")] = None,
        format: FromQuery[ExportFormat] = ExportFormat.CSV,
    ) -> Stream:
        """All of it that fits, newest first, as CSV or a JSON object a line; streamed."""
        query = asked.query(DEFAULT_LIMIT, actor=_user(actor_id))
        batches = await oversee_audit.export(query, _user(user_id))
        return _file(batches, OverseenAuditEntryView.of, OverseenAuditEntryView, format)


def _user(given: UUID | None) -> UserId | None:
    return None if given is None else UserId(given)


def _file(
    batches: AsyncIterator[Sequence[AuditEntry]],
    view: Callable[[AuditEntry], msgspec.Struct],
    kind: type[msgspec.Struct],
    format: ExportFormat,
) -> Stream:
    return Stream(
        written(batches, view, kind, format),
        # Litestar adds the charset to what is text.
        media_type=JSON_LINES if format is ExportFormat.JSONL else TEXT_CSV,
        headers=attachment(f"audit.{format.value}"),
    )
