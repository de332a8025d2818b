"""A person's account: its balance, and its journal."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Controller
from litestar.di import NamedDependency
from litestar.params import FromQuery

from application.billing.read_account import ListEntries, ShowBalance
from application.ports.ledger import BookedEntry, EntryQuery
from application.ports.security import Principal
from domain.billing.ledger import HOUSE_BORNE, AccountKind, Balance, EntryKind, Lot
from domain.identity.user import Permission
from domain.shared.ids import RunId
from domain.shared.money import rupees
from entrypoints.http.access import requires
from entrypoints.http.cursors import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    check_limit,
    number_cursor_after,
    number_of,
)
from entrypoints.http.days import Since, Until, days_asked
from entrypoints.http.routing import get


class LotView(msgspec.Struct):
    """Credits that came together. What is free of them lapses at ``expires_at``, if ever."""

    kind: str
    granted: int
    remaining: int
    expires_at: datetime | None
    granted_at: datetime
    reference: str

    @classmethod
    def of(cls, lot: Lot) -> "LotView":
        return cls(
            lot.kind.value,
            lot.granted,
            lot.remaining,
            lot.expires_at,
            lot.granted_at,
            lot.reference,
        )


class BalanceView(msgspec.Struct):
    """Free, held by steps under way, and owed; ``lots`` in the order they are spent in."""

    available: int
    reserved: int
    owed: int
    balance: str
    lots: list[LotView]

    @classmethod
    def of(cls, balance: Balance, lots: list[Lot]) -> "BalanceView":
        return cls(
            balance.available,
            balance.reserved,
            balance.owed,
            rupees(balance.available - balance.owed),
            [LotView.of(lot) for lot in lots],
        )


class EntryView(msgspec.Struct):
    """One entry: what it added to or took from what is free, held and owed.

    ``charged`` is what it made the person pay, ``house`` what the house bore instead.
    """

    number: int
    at: datetime
    kind: str
    run_id: UUID | None
    step: str
    available: int
    reserved: int
    owed: int
    charged: int
    house: int

    @classmethod
    def of(cls, booked: BookedEntry) -> "EntryView":
        sums = booked.sums
        house = -sum(sums.get(kind, 0) for kind in HOUSE_BORNE)
        return cls(
            booked.number,
            booked.at,
            booked.kind.value,
            booked.run_id,
            booked.step,
            sums.get(AccountKind.AVAILABLE, 0),
            sums.get(AccountKind.RESERVED, 0),
            -sums.get(AccountKind.OWED, 0),
            sums.get(AccountKind.REVENUE, 0) - house,
            house,
        )


class EntryPageView(msgspec.Struct):
    """Entries, newest first; ``next_cursor`` gets the following page, if there is one."""

    items: list[EntryView]
    next_cursor: str | None


class LedgerController(Controller):
    """The signed-in person's credits."""

    path = "/billing"
    tags = ("Billing",)

    @get("/balance", guards=[requires(Permission.BILLING_READ)], summary="Show the balance")
    async def balance(
        self, principal: NamedDependency[Principal], show_balance: NamedDependency[ShowBalance]
    ) -> BalanceView:
        """What is free, held and owed, and the lots the free credits are in."""
        balance, lots = await show_balance(principal.user_id)
        return BalanceView.of(balance, list(lots))

    @get("/ledger", guards=[requires(Permission.BILLING_READ)], summary="List the ledger's entries")
    async def ledger(
        self,
        principal: NamedDependency[Principal],
        list_entries: NamedDependency[ListEntries],
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
        kind: FromQuery[EntryKind | None] = None,
        run_id: FromQuery[UUID | None] = None,
        since: Since = "",
        until: Until = "",
    ) -> EntryPageView:
        """Newest first: of one kind, of one run, or of some days."""
        check_limit(limit)
        entries = await list_entries(
            principal.user_id,
            EntryQuery(
                limit=limit + 1,
                before=number_of(cursor) if cursor else None,
                kind=kind,
                run_id=None if run_id is None else RunId(run_id),
                days=days_asked(since, until),
            ),
        )
        return EntryPageView(
            items=[EntryView.of(entry) for entry in entries[:limit]],
            next_cursor=number_cursor_after([entry.number for entry in entries], limit),
        )
