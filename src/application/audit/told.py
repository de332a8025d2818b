"""What somebody is told of who acted on what is theirs."""

from dataclasses import replace
from typing import Final

from application.ports.audit import AuditEntry
from domain.audit.act import AuditAction
from domain.audit.origin import ActorKind, Origin

OF_STRANGERS: Final = frozenset(
    {AuditAction.SIGN_IN_FAILED, AuditAction.PROOF_FAILED, AuditAction.REFRESH_TOKEN_REUSED}
)
"""What somebody who is signed in as themselves may do to another's account: never an admin."""

NAMING_ADMINS: Final = frozenset({"proposed_by"})
"""Fields that say which admin acted."""


def told_to_owner(entry: AuditEntry) -> AuditEntry:
    """The entry without what is another's: their account, and where an admin was.

    A stranger is told of with their address, an admin as an operator without further names.
    """
    origin, act = entry.origin, entry.act
    if origin.person in (None, entry.user_id):
        return replace(entry, origin=replace(origin, name=""))
    if act.action in OF_STRANGERS:
        seen = Origin(kind=ActorKind.NOBODY, address=origin.address, request_id=origin.request_id)
        return replace(entry, origin=seen)
    after = {name: value for name, value in act.after.items() if name not in NAMING_ADMINS}
    return replace(entry, origin=Origin(kind=ActorKind.OPERATOR), act=replace(act, after=after))
