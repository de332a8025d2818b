"""What is kept sealed, sealed anew under the newest key.

As the owner of the tables: nobody else sees everybody's rows, and no service is ever the owner.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    LargeBinary,
    Table,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.postgres.audit_log import written
from adapters.postgres.engine import open_operator_engine
from adapters.postgres.tables import audit_log, mails, totp_factors, webhook_endpoints
from application.ports.security import SecretBox, SecretUnreadable
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity import mail, second_factor
from domain.shared.ids import UserId
from domain.webhooks import endpoint

BATCH = 200
"""Rows of one transaction: a few milliseconds of work, which hold up nobody for long."""

_VERSION_BYTES = 2
"""A sealed value begins with the version of its key, the highest byte first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed:
    """How many values of each kind were sealed anew, and how many are under another key still.

    Those cannot be opened with the keys at hand, or were written by a process without the newest.
    """

    anew: Mapping[str, int]
    left: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Sealed columns of a table, and what each row's are sealed for."""

    name: str
    table: Table
    key: Column[Any]
    sealed: Sequence[Column[Any]]
    use: Callable[[Any], str]


_KINDS = (
    _Kind(
        name="webhook secrets",
        table=webhook_endpoints,
        key=webhook_endpoints.c.id,
        sealed=(webhook_endpoints.c.secret, webhook_endpoints.c.previous_secret),
        use=endpoint.seal_use,
    ),
    _Kind(
        name="authenticator secrets",
        table=totp_factors,
        key=totp_factors.c.user_id,
        sealed=(totp_factors.c.secret, totp_factors.c.proposed),
        use=second_factor.seal_use,
    ),
    _Kind(
        name="mails that wait",
        table=mails,
        key=mails.c.id,
        sealed=(mails.c.sealed,),
        use=mail.seal_use,
    ),
)


async def reseal(
    owner_url: str, box: SecretBox, newest: int, origin: Origin, *, batch: int = BATCH
) -> Resealed:
    """Seal every value anew that is under a key older than ``newest``, which ``box`` seals under.

    Each batch is a transaction of its own, and a value changes only if it still is what was read:
    whatever an owner or a service writes meanwhile stays, and an interrupted call is repeated.
    What was done for somebody is in their audit log, written with it.
    """
    engine = open_operator_engine(owner_url)
    try:
        work = _Resealing(engine, box, newest.to_bytes(_VERSION_BYTES, "big"), origin, batch)
        anew = {kind.name: await work.all_of(kind) for kind in _KINDS}
        left = {kind.name: await work.left_of(kind) for kind in _KINDS}
        return Resealed(anew=MappingProxyType(anew), left=MappingProxyType(left))
    finally:
        await engine.dispose()


@dataclass(frozen=True, slots=True)
class _Resealing:
    engine: AsyncEngine
    box: SecretBox
    newest: bytes
    origin: Origin
    batch: int

    async def all_of(self, kind: _Kind) -> int:
        done, after = 0, None
        while True:
            async with self.engine.begin() as connection:
                await _as_resealer(connection)
                rows = await self._older(connection, kind, after)
                done += await self._seal_anew(connection, kind, rows)
            if len(rows) < self.batch:
                return done
            after = rows[-1].key

    async def left_of(self, kind: _Kind) -> int:
        async with self.engine.begin() as connection:
            await _as_resealer(connection)
            counts = [
                func.count().filter(
                    func.octet_length(column) > 0, _version(column) != self._newest()
                )
                for column in kind.sealed
            ]
            row = (await connection.execute(select(*counts).select_from(kind.table))).one()
            return sum(row)

    async def _older(
        self, connection: AsyncConnection, kind: _Kind, after: object
    ) -> Sequence[Row[Any]]:
        older = or_(
            *(
                (func.octet_length(column) > 0) & (_version(column) < self._newest())
                for column in kind.sealed
            )
        )
        query = select(
            kind.key.label("key"), kind.table.c.user_id.label("owner"), *kind.sealed
        ).where(older)
        if after is not None:
            query = query.where(kind.key > after)
        return (await connection.execute(query.order_by(kind.key).limit(self.batch))).all()

    async def _seal_anew(
        self, connection: AsyncConnection, kind: _Kind, rows: Sequence[Row[Any]]
    ) -> int:
        of_owner: dict[UserId | None, int] = {}
        for row in rows:
            owner = None if row.owner is None else UserId(row.owner)
            for column in kind.sealed:
                fresh = self._fresh(row._mapping[column.name], kind.use(row.key))
                if fresh is None:
                    continue
                changed = await connection.execute(
                    update(kind.table)
                    .where(kind.key == row.key, column == row._mapping[column.name])
                    .values({column: fresh})
                )
                if changed.rowcount:
                    of_owner[owner] = of_owner.get(owner, 0) + 1
        entries = [
            written(
                owner,
                self.origin,
                acted(
                    AuditAction.SECRETS_RESEALED,
                    kind.name,
                    after={"version": int.from_bytes(self.newest, "big"), "count": count},
                ),
            )
            for owner, count in of_owner.items()
            # A mail to an address without an account is in nobody's log.
            if owner is not None
        ]
        if entries:
            await connection.execute(insert(audit_log).inline(), entries)
        return sum(of_owner.values())

    def _fresh(self, sealed: bytes | None, use: str) -> bytes | None:
        if not sealed or sealed[:_VERSION_BYTES] >= self.newest:
            return None
        try:
            return self.box.seal(self.box.open(sealed, use), use)
        except SecretUnreadable:
            return None  # it stays as it is, and is counted at the end

    def _newest(self) -> ColumnElement[bytes]:
        return literal(self.newest, LargeBinary)


async def _as_resealer(connection: AsyncConnection) -> None:
    # The policy of sealed values: their owner sees them to seal them anew, and not else.
    await connection.execute(text("SELECT set_config('app.reseal', 'on', true)"))


def _version(column: Column[Any]) -> ColumnElement[bytes]:
    return func.substring(column, 1, _VERSION_BYTES, type_=LargeBinary)
