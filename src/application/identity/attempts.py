"""Attempts to prove who one is, held back the more of them fail."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from application.ports.known_places import KnownPlaces
from application.ports.persistence import DatabaseUnavailable
from application.ports.rate_limiter import Charge, RateLimiter, Verdict
from domain.identity.session import ActingSession
from domain.keys.addresses import caller
from domain.keys.rate_limit import RateLimited, RatePolicy

log = structlog.get_logger(__name__)

_QUARTER, _HOUR, _DAY = 15 * 60, 60 * 60, 24 * 60 * 60


def _growing(of: str, quarter: int, hour: int, day: int) -> tuple[RatePolicy, ...]:
    """Each further stretch of failures waits longer: what drains soon is used up first."""
    return tuple(
        RatePolicy(of=of, quota=quota, window_seconds=seconds)
        for quota, seconds in ((quarter, _QUARTER), (hour, _HOUR), (day, _DAY))
    )


OF_ACCOUNT: Final = _growing("account-failures", 5, 10, 20)
"""Of an account, or at a place of its own: five at once, then one in 3 minutes, after ten within
the hour one in 6, after twenty within the day one in 72: some forty guesses a day (NIST SP
800-63B-4 §3.2.2 allows a hundred in a row).
"""

OF_ADDRESS: Final = _growing("address-failures", 30, 100, 300)
"""Of one address, or /64 of IPv6: a hostel's worth of people may share it."""

OF_ALL: Final = RatePolicy(of="all-failures", quota=600, window_seconds=_QUARTER)
"""Of everybody together. Beyond it somebody guesses from many addresses, and :data:`UNDER_ATTACK`
holds for all until it has drained. Refusing everybody would be the attack's success."""

UNDER_ATTACK: Final = RatePolicy(of="address-under-attack", quota=3, window_seconds=_QUARTER)
"""What one address may fail meanwhile."""

_EVERYBODY: Final = "everybody"


@dataclass(slots=True)
class Attempt:
    """An attempt under way. One that has ``proved`` who somebody is counts for nothing.

    One by which somebody has ``signed_in``, with all that the account asks for, makes its place
    known.
    """

    proved: bool = False
    signed_in: bool = False


@dataclass(frozen=True, slots=True)
class AttemptThrottle:
    """Counts attempts before anything is checked, and takes back those that succeed.

    So of many at once no more are checked than may fail. Beyond that **nothing is checked**: the
    right password is refused too, for else guessing would go on and its answer be the proof.

    That must not let a stranger keep the owner out. So what is tried in a session of the account,
    or at an address where it was signed in to before, is counted there by itself, and strangers'
    failures do not count there (as with OWASP's device cookies). A guesser gains nothing by it: to
    have such a place takes the account's session or all its proofs. And who resets the password by
    mail is let in.

    What is counted is the name that was given, whether an account has it or not, so a refusal tells
    of none. The counts are shared by all processes; without Redis each grants a tenth, and nothing
    to whom it had refused. No header changes what is counted: the address is the client's as
    trusted proxies tell it.
    """

    limiter: RateLimiter
    places: KnownPlaces

    @asynccontextmanager
    async def __call__(
        self, account: str, address: str | None, *, session: ActingSession | None = None
    ) -> AsyncIterator[Attempt]:
        """Count an attempt on the account of that name, from that address or in a session of it.

        Without an address nothing but the account is counted, or the session alone.

        Raises:
            RateLimited: too many have failed; it says for how long to wait.
        """
        place = None if address is None else caller(address)
        named = await self._named(account, place, session)
        charges = [Charge(policy=policy, caller=named) for policy in OF_ACCOUNT]
        everybody: list[Charge] = []
        if place is not None:
            charges += [Charge(policy=policy, caller=place) for policy in OF_ADDRESS]
            everybody = [Charge(policy=OF_ALL, caller=_EVERYBODY)]
        await self._counted(charges)
        if place is not None and not (await self.limiter.charge(everybody)).admitted:
            log.warning("sign-in under attack", address=address)
            everybody = [Charge(policy=UNDER_ATTACK, caller=place)]
            await self._counted(everybody)
        attempt = Attempt()
        try:
            yield attempt
        except DatabaseUnavailable:
            attempt.proved = True  # nothing was found out, so nothing failed
            raise
        finally:
            if attempt.proved:
                await self._give_back(charges)
                if everybody:
                    await self._give_back(everybody)
            if attempt.signed_in and place is not None:
                await self.places.note(account, place)

    async def forget(self, account: str, address: str) -> None:
        """Begin anew with an account whose owner has proved to be that in another way, there."""
        await self._give_back(
            [
                Charge(policy=policy, caller=named, cost=policy.quota)
                for named in (_hashed(account), _hashed(account, caller(address)))
                for policy in OF_ACCOUNT
            ]
        )

    async def _named(self, account: str, place: str | None, session: ActingSession | None) -> str:
        """What failures are counted under."""
        if session is not None:
            return _hashed(account, str(session.id))
        if place is not None and await self.places.knows(account, place):
            return _hashed(account, place)
        return _hashed(account)

    async def _counted(self, charges: list[Charge]) -> None:
        verdict: Verdict = await self.limiter.charge(charges)
        if not verdict.admitted:
            raise RateLimited(verdict.violated)

    async def _give_back(self, charges: list[Charge]) -> None:
        await self.limiter.charge(
            [Charge(policy=each.policy, caller=each.caller, cost=-each.cost) for each in charges]
        )


def _hashed(account: str, place: str = "") -> str:
    """An account, at a place of its own, in a bucket's name: the counts say nobody's address."""
    name = f"{place} {account}" if place else account
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
