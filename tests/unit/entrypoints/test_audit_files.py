"""Who acted, as it is told to whose account it was."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from application.ports.audit import AuditEntry
from domain.audit.act import AuditAction, acted
from domain.audit.origin import ActorKind, Origin
from domain.shared.ids import UserId
from entrypoints.http.audit_files import AuditEntryView, OverseenAuditEntryView
from tests.contracts.samples import new_id

OWNER, OTHER = UserId(new_id()), UserId(new_id())


def entry(action: AuditAction, by: UserId | None) -> AuditEntry:
    kind = ActorKind.NOBODY if by is None else ActorKind.PERSON
    return AuditEntry(
        number=1,
        at=datetime(2026, 11, 28, tzinfo=UTC),
        user_id=OWNER,
        origin=Origin(kind=kind, person=by, address="198.51.100.66", request_id="r"),
        act=acted(action, OWNER),
    )


@pytest.mark.parametrize(
    ("action", "by", "actor", "address"),
    [
        (AuditAction.SIGNED_IN, OWNER, "person", "198.51.100.66"),
        (AuditAction.SIGN_IN_FAILED, None, "nobody", "198.51.100.66"),
        (AuditAction.SUSPENDED, OTHER, "operator", ""),
        (AuditAction.SIGN_IN_FAILED, OTHER, "nobody", "198.51.100.66"),
        (AuditAction.REFRESH_TOKEN_REUSED, OTHER, "nobody", "198.51.100.66"),
    ],
)
def test_an_owner_is_told_who_acted_and_never_by_which_other_account(
    action: AuditAction, by: UserId | None, actor: str, address: str
) -> None:
    view = AuditEntryView.of(entry(action, by))
    assert (view.actor, view.address) == (actor, address)
    assert str(OTHER) not in str(view)


def test_an_owner_is_not_told_which_admin_proposed_an_adjustment() -> None:
    proposed = acted(
        AuditAction.ADJUSTMENT_PROPOSED, new_id(), after={"credits": 5, "proposed_by": OTHER}
    )
    shown = AuditEntryView.of(replace(entry(AuditAction.SUSPENDED, OTHER), act=proposed))
    assert shown.after == {"credits": 5}


def test_an_admin_is_told_the_account() -> None:
    view = OverseenAuditEntryView.of(entry(AuditAction.SIGN_IN_FAILED, OTHER))
    assert (view.actor, view.actor_id) == ("person", OTHER)
