"""Admit a request: find out who sends it, and hold them to their limits."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import structlog

from application.identity.authenticate_session import AuthenticateSession
from application.keys.authenticate_key import AuthenticateKey
from application.keys.key_cache import KeyCaller
from application.keys.local_rate_limiter import LocalRateLimiter
from application.ports.metrics import LimitMetrics
from application.ports.rate_limiter import Charge, RateLimiter, Verdict
from application.ports.security import AccessTokens, Principal
from domain.identity.user import NotAuthenticated
from domain.keys.addresses import caller
from domain.keys.api_key import InvalidKey, KeyExpired
from domain.keys.key_text import KeyText, MalformedKey, parse
from domain.keys.rate_limit import RateLimited, RatePolicy
from domain.shared.errors import DomainError

log = structlog.get_logger(__name__)

MINUTE, DAY = 60, 24 * 60 * 60

OPERATIONS_PER_MINUTE = 12_000
"""Of one address, of health and metrics: they are counted by each process for itself, so that
they answer when nothing else does."""

GATEWAY_PER_MINUTE = 6_000
"""Of one address, of the payment gateway's events, and of the pages of the simulated one. They
come from a few addresses, many at once, and without a credential that is ours: the limit is far
above any gateway's pace, and counted by each process for itself, so that no shared limit, nor its
being away, turns an event off. One beyond it is answered 429, sent again by the gateway, and its
payment found by reconciliation all the same."""


@dataclass(frozen=True)
class LimitPolicies:
    """How much whom: requests a minute, or a day, of one caller each.

    ``address``: requests without a credential. ``unverified``: requests whose credential
    proved wrong, by address, and by what was sent. ``user``: all of a person's requests,
    their keys' among them. ``key``: those of one key that has no limits of its own.
    """

    address_per_minute: int
    unverified_per_minute: int
    user_per_minute: int
    key_per_minute: int
    key_per_day: int

    @cached_property
    def address(self) -> RatePolicy:
        return RatePolicy(of="address", quota=self.address_per_minute, window_seconds=MINUTE)

    @cached_property
    def unverified(self) -> tuple[RatePolicy, RatePolicy]:
        return (
            RatePolicy(of="unverified", quota=self.unverified_per_minute, window_seconds=MINUTE),
            RatePolicy(of="credential", quota=self.unverified_per_minute, window_seconds=MINUTE),
        )

    @cached_property
    def user(self) -> RatePolicy:
        return RatePolicy(of="user", quota=self.user_per_minute, window_seconds=MINUTE)

    @cached_property
    def key(self) -> tuple[RatePolicy, ...]:
        return (
            RatePolicy(of="key", quota=self.key_per_minute, window_seconds=MINUTE),
            RatePolicy(of="key", quota=self.key_per_day, window_seconds=DAY),
        )

    @cached_property
    def operations(self) -> RatePolicy:
        return RatePolicy(of="operations", quota=OPERATIONS_PER_MINUTE, window_seconds=MINUTE)

    @cached_property
    def gateway(self) -> RatePolicy:
        return RatePolicy(of="gateway", quota=GATEWAY_PER_MINUTE, window_seconds=MINUTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What came with a request: its sender's address, and the credentials, or None."""

    address: str
    token: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who sends a request, where they stand, and why it must not go on, if it must not.

    ``rejected``: what was sent as a credential proves nothing, which a route for everybody
    does not mind. ``limited`` holds for every route.
    """

    verdict: Verdict
    principal: Principal | None = None
    rejected: DomainError | None = None

    @property
    def limited(self) -> RateLimited | None:
        """The refusal for asking too much."""
        return None if self.verdict.admitted else RateLimited(self.verdict.violated)


@dataclass(frozen=True, slots=True)
class AdmitRequest:
    """One look into memory and one round trip for whoever is known."""

    tokens: AccessTokens
    keys: AuthenticateKey
    sessions: AuthenticateSession
    limiter: RateLimiter
    policies: LimitPolicies
    metrics: LimitMetrics
    own: LocalRateLimiter = field(default_factory=LocalRateLimiter)

    async def __call__(self, presented: Presented, cost: int = 1) -> Admission:
        """Count the request and say who sends it.

        Raises:
            DatabaseUnavailable: a key or session had to be looked up and could not be.
        """
        if presented.key is not None and presented.token is not None:
            both = NotAuthenticated("Send an access token or an API key, not both.")
            return await self._rejected(presented, presented.key + presented.token, both)
        if presented.key is not None:
            return await self._with_key(presented, presented.key, cost)
        if presented.token is not None:
            return await self._with_token(presented, presented.token, cost)
        charge = Charge(policy=self.policies.address, caller=caller(presented.address), cost=cost)
        return Admission(verdict=await self._charged(charge))

    async def to_operations(self, address: str) -> Admission:
        """Count a request for health or metrics, in this process alone."""
        return self._alone(self.policies.operations, address)

    async def from_gateway(self, address: str) -> Admission:
        """Count an event of the payment gateway, in this process alone."""
        return self._alone(self.policies.gateway, address)

    def _alone(self, policy: RatePolicy, address: str) -> Admission:
        verdict = self.own.charged([Charge(policy=policy, caller=caller(address))])
        self._note(verdict)
        return Admission(verdict=verdict)

    async def _with_token(self, presented: Presented, token: str, cost: int) -> Admission:
        try:
            claimed = self.tokens.verify(token)
            # Only what we signed is looked up, so nobody can have us look up anything else.
            principal = self.sessions.remembered(claimed) or await self.sessions(claimed)
        except NotAuthenticated as error:
            return await self._rejected(presented, token, error)
        verdict = await self._charged(self._user(principal, cost))
        return Admission(verdict=verdict, principal=principal)

    async def _with_key(self, presented: Presented, text: str, cost: int) -> Admission:
        known = self.keys.remembered(text, presented.address)
        if known is not None:
            return await self._as_caller(known, cost)
        try:
            key = parse(text)
        except MalformedKey as error:
            return await self._rejected(presented, text, error)
        return await self._unknown(presented, key, cost)

    async def _unknown(self, presented: Presented, key: KeyText, cost: int) -> Admission:
        """Of a key that must be looked up, the attempt is counted first and given back last."""
        attempt = await self._charged(*self._unverified(presented.address, key.text))
        if not attempt.admitted:
            return Admission(verdict=attempt)
        try:
            known = await self.keys(key, presented.address)
        except (InvalidKey, KeyExpired) as error:
            return Admission(verdict=attempt, rejected=error)
        await self._charged(*self._unverified(presented.address, key.text, -1))
        return await self._as_caller(known, cost)

    async def _as_caller(self, known: KeyCaller, cost: int) -> Admission:
        charges = known.charges.get(cost)
        if charges is None:
            charges = known.charges[cost] = self._of_key(known, cost)
        verdict = await self.limiter.charge(charges)
        self._note(verdict)
        return Admission(verdict=verdict, principal=known.principal)

    async def _rejected(self, presented: Presented, sent: str, error: DomainError) -> Admission:
        verdict = await self._charged(*self._unverified(presented.address, sent))
        return Admission(verdict=verdict, rejected=error)

    def _of_key(self, known: KeyCaller, cost: int) -> tuple[Charge, ...]:
        principal = known.principal
        key_id = str(principal.key.id) if principal.key else ""
        return (
            *(
                Charge(policy=policy, caller=key_id, cost=cost)
                for policy in known.limits or self.policies.key
            ),
            self._user(principal, cost),
        )

    def _user(self, principal: Principal, cost: int) -> Charge:
        return Charge(policy=self.policies.user, caller=str(principal.user_id), cost=cost)

    def _unverified(self, address: str, sent: str, cost: int = 1) -> tuple[Charge, Charge]:
        by_address, by_credential = self.policies.unverified
        digest = hashlib.sha256(sent.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return (
            Charge(policy=by_address, caller=caller(address), cost=cost),
            Charge(policy=by_credential, caller=digest, cost=cost),
        )

    async def _charged(self, *charges: Charge) -> Verdict:
        verdict = await self.limiter.charge(charges)
        self._note(verdict)
        return verdict

    def _note(self, verdict: Verdict) -> None:
        for each in verdict.violated:
            self.metrics.refused(each.policy.name)
