"""Users, and roles as sets of permissions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from domain.shared.errors import Conflict, DomainError, InvalidValue
from domain.shared.ids import UserId

MIN_PASSWORD_LENGTH = 12
"""Characters. Length instead of composition rules (NIST SP 800-63B-4 §3.1.1.2 asks 15
where a password is the only factor, 8 where it is not; 12 stands between)."""

MAX_PASSWORD_LENGTH = 256
"""Characters. A bound on the work one sign-in can ask for, far above any passphrase."""

MAX_NAME_LENGTH = 120


class Permission(StrEnum):
    """What may be done, as ``subject:verb``."""

    PROJECTS_READ = "projects:read"
    PROJECTS_CREATE = "projects:create"
    PROJECTS_EXECUTE = "projects:execute"
    PROJECTS_DELETE = "projects:delete"
    ACCOUNT_READ = "account:read"
    KEYS_ISSUE = "keys:issue"
    KEYS_MANAGE = "keys:manage"
    WEBHOOKS_MANAGE = "webhooks:manage"
    USERS_READ = "users:read"
    USERS_MANAGE = "users:manage"
    RUNS_OPERATE = "runs:operate"
    BILLING_READ = "billing:read"
    BILLING_BUY = "billing:buy"
    BILLING_OPERATE = "billing:operate"
    PRICES_SET = "prices:set"
    AUDIT_READ = "audit:read"
    LEDGER_ADJUST = "ledger:adjust"


class Role(StrEnum):
    """What a person is to the platform. Given by an operator, never by a request."""

    MEMBER = "member"
    PARTNER = "partner"
    ADMIN = "admin"


_MEMBER = frozenset(
    {
        Permission.PROJECTS_READ,
        Permission.PROJECTS_CREATE,
        Permission.PROJECTS_EXECUTE,
        Permission.PROJECTS_DELETE,
        Permission.BILLING_READ,
        Permission.BILLING_BUY,
        Permission.ACCOUNT_READ,
        Permission.KEYS_MANAGE,
    }
)
PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.MEMBER: _MEMBER,
        Role.PARTNER: _MEMBER | {Permission.KEYS_ISSUE, Permission.WEBHOOKS_MANAGE},
        Role.ADMIN: frozenset(Permission),
    }
)

ADMINS_ALONE = PERMISSIONS[Role.ADMIN] - PERMISSIONS[Role.MEMBER] - PERMISSIONS[Role.PARTNER]
"""What an admin may do that nobody else may."""


class InvalidCredentials(DomainError):
    """Email and password do not belong together. Says no more than that."""

    code = "invalid_credentials"


class EmailTaken(DomainError):
    """An account with this email exists already."""

    code = "email_taken"


class NotAuthenticated(DomainError):
    """No valid access token came with the request."""

    code = "not_authenticated"


class PermissionDenied(DomainError):
    """Signed in, but the role does not allow this."""

    code = "permission_denied"


class LastAdmin(Conflict):
    """Without this person no active admin would be left."""

    code = "last_admin"

    def __init__(self) -> None:
        super().__init__("This is the last active admin. Make another one first.")


class OwnStanding(Conflict):
    """Nobody changes their own role, suspends or reinstates themselves."""

    code = "own_standing"

    def __init__(self) -> None:
        super().__init__("Nobody changes their own role or standing. Ask another admin.")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person. ``email`` is normalised; ``password_hash`` is a PHC string,
    or empty for somebody who has no password.

    Sessions begun under a lower ``session_version`` are over. ``email_verified_at`` is when the
    address was proved to be theirs, if it was.
    """

    id: UserId
    email: str
    name: str
    password_hash: str
    role: Role
    is_active: bool
    created_at: datetime
    session_version: int = 1
    email_verified_at: datetime | None = None

    @property
    def left(self) -> bool:
        """Whether the account was deleted: there is nobody to have anything of it."""
        return self.email == left_address(self.id)

    @property
    def has_password(self) -> bool:
        """Whether a password opens the account: whoever came from elsewhere may have none."""
        return bool(self.password_hash)

    def may(self, permission: Permission) -> bool:
        """Whether this person's role holds ``permission``; an inactive one may nothing."""
        return self.is_active and permission in PERMISSIONS[self.role]


def left_address(user_id: UserId) -> str:
    """What stands in the place of a deleted account's address.

    Nobody's: the name is reserved (RFC 6761), and the id alone tells it apart.
    """
    return f"deleted-{user_id}@deleted.invalid"


def check_password(password: str) -> None:
    """Hold a new password to the policy.

    Raises:
        InvalidValue: too short or too long; the message names the bound.
    """
    if len(password) < MIN_PASSWORD_LENGTH:
        raise InvalidValue("password", f"Use at least {MIN_PASSWORD_LENGTH} characters.")
    if len(password) > MAX_PASSWORD_LENGTH:
        raise InvalidValue("password", f"Use at most {MAX_PASSWORD_LENGTH} characters.")


def clean_name(name: str) -> str:
    """A display name without surrounding or control characters.

    Raises:
        InvalidValue: nothing is left, or it is too long.
    """
    cleaned = " ".join("".join(ch if ch.isprintable() else " " for ch in name).split())
    if not cleaned:
        raise InvalidValue("name", "Give a name of at least one character.")
    if len(cleaned) > MAX_NAME_LENGTH:
        raise InvalidValue("name", f"Use at most {MAX_NAME_LENGTH} characters.")
    return cleaned
