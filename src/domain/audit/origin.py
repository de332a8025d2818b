"""Who acts, and from where: one value that goes into every use case that is audited.

It is made where a request, a command or a process begins, and handed down as it is; nothing
below looks it up.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from domain.shared.ids import ApiKeyId, UserId


class ActorKind(StrEnum):
    """What acts. ``nobody`` is a request that proved no account to be its sender's."""

    PERSON = "person"
    KEY = "key"
    OPERATOR = "operator"
    SYSTEM = "system"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who acts and from where.

    ``person`` is the account of a person, and the owner's of a key; ``key`` the key's.
    ``name`` is an operator's account on their machine, or a process's name. ``address`` is the
    client's, as trusted proxies tell it.
    """

    kind: ActorKind
    person: UserId | None = None
    key: ApiKeyId | None = None
    name: str = ""
    address: str = ""
    request_id: str = ""

    @classmethod
    def of_operator(cls, name: str) -> "Origin":
        """Somebody at a command line, by their account there."""
        return cls(kind=ActorKind.OPERATOR, name=name)

    @classmethod
    def of_system(cls, process: str) -> "Origin":
        """The platform itself."""
        return cls(kind=ActorKind.SYSTEM, name=process)

    def as_person(self, user_id: UserId) -> "Origin":
        """The same request, whose sender has just proved to be this person."""
        return replace(self, kind=ActorKind.PERSON, person=user_id, key=None)
