"""Scopes: what a key may do, never more than the person it belongs to."""

from collections.abc import Iterable

from domain.identity.user import PERMISSIONS, Permission, Role
from domain.shared.errors import DomainError, InvalidValue


class InsufficientScope(DomainError):
    """The key is good, and not for this; ``permission`` names the scope it lacks."""

    code = "insufficient_scope"


def grantable(
    wanted: Iterable[Permission], granter: frozenset[Permission]
) -> frozenset[Permission]:
    """The scopes, which whoever grants them must hold.

    Raises:
        InvalidValue: there are none, or one that the granter lacks.
    """
    scopes = frozenset(wanted)
    if not scopes:
        raise InvalidValue("scopes", f"Give at least one of {_listed(granter)}.")
    beyond = scopes - granter
    if beyond:
        raise InvalidValue(
            "scopes", f"You do not hold {_listed(beyond)}. Choose among {_listed(granter)}."
        )
    return scopes


def effective(scopes: frozenset[Permission], role: Role) -> frozenset[Permission]:
    """What a key may do now: a role that fell takes its keys down with it."""
    return scopes & PERMISSIONS[role]


def _listed(permissions: Iterable[Permission]) -> str:
    return ", ".join(sorted(permissions))
