"""What every ``AuditTrail`` and ``AuditOversight`` keeps."""

from datetime import timedelta
from typing import Any

import pytest

from application.ports.audit import NOBODY, AuditEntry, AuditOversight, AuditQuery
from application.ports.persistence import UnitOfWork
from domain.audit.act import Act, AuditAction, acted
from domain.audit.origin import ActorKind, Origin
from domain.identity.user import User
from domain.shared.ids import ApiKeyId, UserId
from tests.contracts.samples import keep_user, new_id


def person(user_id: UserId) -> Origin:
    """A person at their own browser."""
    return Origin(
        kind=ActorKind.PERSON, person=user_id, address="192.0.2.7", request_id="request-7"
    )


def project_deleted() -> Act:
    return acted(AuditAction.PROJECT_DELETED, new_id(), before={"title": "पुस्तकालय"})


async def keep_acts(uow: UnitOfWork, owner: User, *acts: Act, origin: Origin | None = None) -> None:
    """Record acts of the owner, or of another, each in a transaction of its own."""
    for act in acts:
        async with uow.begin(owner.id) as tx:
            await tx.audit.record(origin or person(owner.id), act)


async def read(uow: UnitOfWork, user_id: UserId, **query: Any) -> list[AuditEntry]:
    async with uow.begin(user_id) as tx:
        return list(await tx.audit.entries(AuditQuery(**{"limit": 100, **query})))


class AuditContract:
    async def test_an_act_comes_back_as_recorded(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        act = acted(
            AuditAction.SUBSCRIPTION_CHANGED,
            new_id(),
            before={"plan": "pro", "seats": 1, "trial": False, "next_plan": None},
            after={"plan": "team", "seats": 4, "trial": False, "next_plan": None},
        )
        await keep_acts(uow, owner, act)
        (entry,) = await read(uow, owner.id)
        assert (entry.user_id, entry.origin, entry.act) == (owner.id, person(owner.id), act)
        assert entry.act.before == {"plan": "pro", "seats": 1}

    @pytest.mark.parametrize(
        "origin",
        [
            Origin(
                kind=ActorKind.KEY,
                person=UserId(new_id()),
                key=ApiKeyId(new_id()),
                address="2001:db8::7",
            ),
            Origin.of_operator("asha"),
            Origin.of_system("dispatcher"),
            Origin(kind=ActorKind.NOBODY, address="192.0.2.8"),
        ],
        ids=lambda origin: origin.kind.value,
    )
    async def test_every_kind_of_actor_can_be_told(self, uow: UnitOfWork, origin: Origin) -> None:
        owner = await keep_user(uow)
        await keep_acts(uow, owner, project_deleted(), origin=origin)
        (entry,) = await read(uow, owner.id)
        assert entry.origin == origin

    async def test_every_action_can_be_told(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            for action in AuditAction:
                await tx.audit.record(person(owner.id), acted(action))
        entries = await read(uow, owner.id)
        assert [entry.act.action for entry in entries] == list(reversed(AuditAction))

    async def test_an_act_is_forgotten_with_the_transaction_it_is_of(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        with pytest.raises(ZeroDivisionError):
            async with uow.begin(owner.id) as tx:
                await tx.audit.record(person(owner.id), project_deleted())
                raise ZeroDivisionError
        assert await read(uow, owner.id) == []

    async def test_nobody_sees_anothers(self, uow: UnitOfWork) -> None:
        owner, stranger = await keep_user(uow), await keep_user(uow)
        await keep_acts(uow, owner, project_deleted(), origin=person(stranger.id))
        assert await read(uow, stranger.id) == []
        assert len(await read(uow, owner.id)) == 1

    async def test_what_nobody_did_is_kept_apart(self, uow: UnitOfWork) -> None:
        origin = Origin(kind=ActorKind.NOBODY, address="192.0.2.9", request_id=str(new_id()))
        async with uow.begin(None) as tx:
            await tx.audit.record(origin, acted(AuditAction.SIGN_IN_FAILED))
            entries = await tx.audit.entries(AuditQuery(limit=1))
        assert [(entry.user_id, entry.origin) for entry in entries] == [(NOBODY, origin)]

    async def test_pages_go_on_behind_the_last_entry(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        acts = [project_deleted() for _ in range(5)]
        await keep_acts(uow, owner, *acts)
        first = await read(uow, owner.id, limit=3)
        rest = await read(uow, owner.id, limit=3, before=first[-1].number)
        assert [entry.act for entry in (*first, *rest)] == list(reversed(acts))

    async def test_entries_are_found_by_action_actor_and_subject(self, uow: UnitOfWork) -> None:
        owner, admin = await keep_user(uow), await keep_user(uow)
        deleted, retried = project_deleted(), acted(AuditAction.RUN_RETRIED, new_id())
        await keep_acts(uow, owner, deleted)
        await keep_acts(uow, owner, retried, origin=person(admin.id))
        for query, found in (
            ({"action": AuditAction.PROJECT_DELETED}, deleted),
            ({"actor": admin.id}, retried),
            ({"actor": owner.id}, deleted),
            ({"subject_id": retried.subject_id}, retried),
        ):
            assert [entry.act for entry in await read(uow, owner.id, **query)] == [found], query

    async def test_entries_are_found_by_time(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        await keep_acts(uow, owner, project_deleted())
        (entry,) = await read(uow, owner.id)
        moment = timedelta(microseconds=1)
        assert await read(uow, owner.id, since=entry.at, until=entry.at + moment) == [entry]
        assert await read(uow, owner.id, since=entry.at + moment) == []
        assert await read(uow, owner.id, until=entry.at) == []

    async def test_oversight_sees_everybodys(
        self, uow: UnitOfWork, audit_oversight: AuditOversight
    ) -> None:
        owner, other, admin = [await keep_user(uow) for _ in range(3)]
        await keep_acts(uow, owner, project_deleted(), origin=person(admin.id))
        await keep_acts(uow, other, project_deleted(), origin=person(admin.id))
        seen = await audit_oversight.entries(AuditQuery(limit=10, actor=admin.id))
        assert [entry.user_id for entry in seen] == [other.id, owner.id]
        query = AuditQuery(limit=10, actor=admin.id)
        (only,) = await audit_oversight.entries(query, owner.id)
        assert only.user_id == owner.id
