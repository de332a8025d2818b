"""Scopes: what a key may do, never more than the person it belongs to."""

from collections.abc import Iterable

from domain.identity.user import ADMINS_ALONE, PERMISSIONS, Permission, Role
from domain.keys.key_text import KeyEnvironment
from domain.shared.errors import DomainError, InvalidValue

GRANTABLE = frozenset(Permission) - ADMINS_ALONE
"""What a key may be for. Never what admins alone may do: a key proves no second factor, and
cannot be asked for one."""

LIVE_ONLY = frozenset({Permission.BILLING_BUY})
"""What no test key may do: it moves money, and there is no test of that which leaves it all as it
was."""


class InsufficientScope(DomainError):
    """The key is good, and not for this; ``permission`` names the scope it lacks."""

    code = "insufficient_scope"


def grantable(
    wanted: Iterable[Permission], granter: frozenset[Permission], environment: KeyEnvironment
) -> frozenset[Permission]:
    """The scopes, which whoever grants them must hold.

    Raises:
        InvalidValue: there are none, or one that the granter lacks or a test key may not have.
    """
    scopes = frozenset(wanted)
    granter = granter & GRANTABLE - _withheld(environment)
    admins = scopes & ADMINS_ALONE
    if admins:
        raise InvalidValue("scopes", f"No key can have {_listed(admins)}. Sign in for that.")
    withheld = scopes & _withheld(environment)
    if withheld:
        raise InvalidValue(
            "scopes", f"A test key cannot have {_listed(withheld)}. Issue a live key for that."
        )
    if not scopes:
        raise InvalidValue("scopes", f"Give at least one of {_listed(granter)}.")
    beyond = scopes - granter
    if beyond:
        raise InvalidValue(
            "scopes", f"You do not hold {_listed(beyond)}. Choose among {_listed(granter)}."
        )
    return scopes


def effective(
    scopes: frozenset[Permission], role: Role, environment: KeyEnvironment
) -> frozenset[Permission]:
    """What a key may do now: a role that fell takes its keys down with it."""
    return (scopes & PERMISSIONS[role] & GRANTABLE) - _withheld(environment)


def _withheld(environment: KeyEnvironment) -> frozenset[Permission]:
    return LIVE_ONLY if environment is KeyEnvironment.TEST else frozenset()


def _listed(permissions: Iterable[Permission]) -> str:
    return ", ".join(sorted(permissions))
