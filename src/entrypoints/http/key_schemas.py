"""What goes over the wire about API keys. The text of a key is in one answer, ever."""

from datetime import datetime
from typing import Self
from uuid import UUID

import msgspec

from domain.agents.artifacts import Mode
from domain.identity.user import Permission, Role
from domain.keys.api_key import DEFAULT_OVERLAP_SECONDS, ApiKey
from domain.keys.key_text import KeyEnvironment
from domain.keys.rate_limit import RatePolicy
from domain.keys.scopes import effective


class LimitBody(msgspec.Struct, forbid_unknown_fields=True):
    """So many requests in so many seconds."""

    quota: int
    window_seconds: int

    def policy(self) -> RatePolicy:
        """As a policy of a key."""
        return RatePolicy(of="key", quota=self.quota, window_seconds=self.window_seconds)


class IssueKeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A new key. ``modes``, ``allowed_ips`` (CIDR) and ``limits`` bound it where they are given.

    ``credit_cap`` bounds the credits that its runs use, in all.
    """

    name: str
    scopes: list[Permission]
    environment: KeyEnvironment = KeyEnvironment.LIVE
    modes: list[Mode] = []
    allowed_ips: list[str] = []
    limits: list[LimitBody] = []
    credit_cap: int | None = None
    expires_at: datetime | None = None


class EditKeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to change; what is left out stays. ``null`` takes away a cap or an expiry."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    scopes: list[Permission] | msgspec.UnsetType = msgspec.UNSET
    modes: list[Mode] | msgspec.UnsetType = msgspec.UNSET
    allowed_ips: list[str] | msgspec.UnsetType = msgspec.UNSET
    limits: list[LimitBody] | msgspec.UnsetType = msgspec.UNSET
    credit_cap: int | msgspec.UnsetType | None = msgspec.UNSET
    expires_at: datetime | msgspec.UnsetType | None = msgspec.UNSET


class RotateKeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """How long the present secret works beside the new one; 0 ends every old one at once."""

    overlap_seconds: int = DEFAULT_OVERLAP_SECONDS


class ApiKeyView(msgspec.Struct, kw_only=True):
    """A key, without its text. ``effective_scopes`` are those its owner still holds.

    ``last_used_at`` is right to the minute. After a rotation the old text works until
    ``previous_until``.
    """

    id: UUID
    name: str
    environment: str
    status: str
    prefix: str
    last_four: str
    scopes: list[str]
    effective_scopes: list[str]
    modes: list[str]
    allowed_ips: list[str]
    limits: list[LimitBody]
    credit_cap: int | None
    credits_used: int
    credits_held: int
    created_at: datetime
    expires_at: datetime | None
    rotated_at: datetime | None
    previous_until: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey, role: Role, now: datetime) -> Self:
        """A key as its owner, who has that role, sees it at that moment."""
        return cls(
            id=key.id,
            name=key.name,
            environment=key.environment.value,
            status=key.status(now).value,
            prefix=key.secret.prefix,
            last_four=key.secret.last_four,
            scopes=sorted(key.scopes),
            effective_scopes=sorted(effective(key.scopes, role, key.environment)),
            modes=sorted(key.modes),
            allowed_ips=list(key.allowed_ips),
            limits=[LimitBody(policy.quota, policy.window_seconds) for policy in key.limits],
            credit_cap=key.credit_cap,
            credits_used=key.credits_used,
            credits_held=key.credits_held,
            created_at=key.created_at,
            expires_at=key.expires_at,
            rotated_at=key.rotated_at,
            previous_until=key.previous_until,
            revoked_at=key.revoked_at,
            last_used_at=key.last_used_at,
        )


class IssuedKeyView(ApiKeyView, kw_only=True):
    """A key with its text, ``secret``. A repeat of the request gets it as null."""

    secret: str | None = None


class ApiKeyPageView(msgspec.Struct):
    """A page of keys; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[ApiKeyView]
    next_cursor: str | None
