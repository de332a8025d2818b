"""The audit log as it is shown, and as a file: over HTTP and at the command line."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from application.audit.told import told_to_owner
from application.ports.audit import AuditEntry
from entrypoints.http.csv_stream import csv_of


class ExportFormat(StrEnum):
    """How a file is written: comma-separated, or a JSON object a line."""

    CSV = "csv"
    JSONL = "jsonl"


class AuditEntryView(msgspec.Struct):
    """An act. ``actor`` is a person, a key, an operator, the system, or nobody known.

    Who acts on another's behalf for the house is ``operator`` to them, without further names.
    """

    at: datetime
    action: str
    subject_id: str
    actor: str
    api_key_id: UUID | None
    address: str
    request_id: str
    before: dict[str, Any]
    after: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditEntryView":
        told = told_to_owner(entry)
        origin, act = told.origin, told.act
        return cls(
            at=told.at,
            action=act.action.value,
            subject_id=act.subject_id,
            actor=origin.kind.value,
            api_key_id=origin.key,
            address=origin.address,
            request_id=origin.request_id,
            before=dict(act.before),
            after=dict(act.after),
        )


class OverseenAuditEntryView(msgspec.Struct):
    """An act, and all that is known of who acted. ``user_id`` is whose data it was on."""

    number: int
    at: datetime
    user_id: UUID
    action: str
    subject_id: str
    actor: str
    actor_id: UUID | None
    api_key_id: UUID | None
    actor_name: str
    address: str
    request_id: str
    before: dict[str, Any]
    after: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> "OverseenAuditEntryView":
        origin, act = entry.origin, entry.act
        return cls(
            number=entry.number,
            at=entry.at,
            user_id=entry.user_id,
            action=act.action.value,
            subject_id=act.subject_id,
            actor=origin.kind.value,
            actor_id=origin.person,
            api_key_id=origin.key,
            actor_name=origin.name,
            address=origin.address,
            request_id=origin.request_id,
            before=dict(act.before),
            after=dict(act.after),
        )


def written(
    batches: AsyncIterator[Sequence[AuditEntry]],
    view: Callable[[AuditEntry], msgspec.Struct],
    kind: type[msgspec.Struct],
    format: ExportFormat,
) -> AsyncIterator[bytes]:
    """Every entry as its view, in a file of that kind, piece by piece."""
    if format is ExportFormat.JSONL:
        return _json_lines(batches, view)

    def cells(entry: AuditEntry) -> list[str]:
        # What people wrote stands inside of JSON: no cell is a formula.
        return [_cell(each) for each in msgspec.structs.astuple(view(entry))]

    return csv_of(kind.__struct_fields__, batches, cells)


async def _json_lines(
    batches: AsyncIterator[Sequence[AuditEntry]], view: Callable[[AuditEntry], msgspec.Struct]
) -> AsyncIterator[bytes]:
    encoder = msgspec.json.Encoder()
    async for entries in batches:
        yield encoder.encode_lines([view(entry) for entry in entries])


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return "" if value is None else str(value)
