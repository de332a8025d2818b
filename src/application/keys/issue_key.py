"""Issue an API key."""

from dataclasses import dataclass
from datetime import datetime

from application.ports.clock import Clock, IdMaker
from application.ports.idempotency import Completion
from application.ports.keys import KeySecrets
from application.ports.persistence import UnitOfWork
from application.ports.security import Principal
from domain.agents.artifacts import Mode
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.user import Permission
from domain.keys.addresses import clean_networks
from domain.keys.api_key import (
    MAX_KEYS,
    ApiKey,
    TooManyKeys,
    check_cap,
    check_expiry,
    clean_key_name,
    clean_limits,
)
from domain.keys.key_text import KeyEnvironment, KeyText
from domain.keys.rate_limit import RatePolicy
from domain.keys.scopes import grantable
from domain.shared.ids import ApiKeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key and its text. This is the only time anybody sees the text."""

    key: ApiKey
    text: KeyText


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What the key is for. ``by`` is who issues it: its owner, or a key of theirs."""

    by: Principal
    origin: Origin
    name: str
    environment: KeyEnvironment
    scopes: frozenset[Permission]
    modes: frozenset[Mode] = frozenset()
    allowed_ips: tuple[str, ...] = ()
    limits: tuple[RatePolicy, ...] = ()
    credit_cap: int | None = None
    expires_at: datetime | None = None
    once: Completion[IssuedKey] | None = None


@dataclass(frozen=True, slots=True)
class IssueKey:
    """Issues a key that may do no more than who issues it."""

    uow: UnitOfWork
    secrets: KeySecrets
    clock: Clock
    ids: IdMaker

    async def __call__(self, command: NewKey) -> IssuedKey:
        """Keep the new key; the answer alone has its text.

        Raises:
            InvalidValue: a value does not fit, or a scope is not the issuer's to give.
            InsufficientScope: the issuer is a key, and narrower than the new one.
            TooManyKeys: the person has as many as one may have.
            KeyClaimLost: another request with the same idempotency key came first.
        """
        text = self.secrets.mint(command.environment)
        now = self.clock.now()
        key = ApiKey(
            id=ApiKeyId(self.ids.new()),
            user_id=command.by.user_id,
            name=clean_key_name(command.name),
            environment=command.environment,
            secret=self.secrets.seal(text),
            scopes=grantable(command.scopes, command.by.permissions, command.environment),
            modes=command.modes,
            allowed_ips=clean_networks(command.allowed_ips),
            limits=clean_limits(command.limits),
            credit_cap=check_cap(command.credit_cap),
            created_at=now,
            expires_at=check_expiry(command.expires_at, now),
        )
        if command.by.key is not None:
            command.by.key.check_reach(key)
        issued = IssuedKey(key=key, text=text)
        async with self.uow.begin(key.user_id) as tx:
            if await tx.keys.kept_count() >= MAX_KEYS:
                raise TooManyKeys
            await tx.keys.add(key)
            await tx.audit.record(command.origin, acted(AuditAction.KEY_ISSUED, key.id, after=key))
            if command.once is not None:
                await command.once.store(tx.idempotency, issued)
        return issued
