"""Other ways in and the second factor, in memory."""

from collections.abc import Sequence
from dataclasses import replace

from application.ports.identity_provider import LinkedIdentities
from application.ports.second_factor import ChallengeRepository, SecondFactorRepository
from domain.identity.linked_identity import IdentityTaken, LinkedIdentity, ProviderName
from domain.identity.second_factor import Challenge, TotpFactor
from domain.shared.ids import UserId
from tests.fakes.persistence.database import ChallengeRow, Session, TransactionRefused


class InMemoryLinkedIdentities(LinkedIdentities):
    """The identities of the session's person, and whoever's one can name."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def owner(self, provider: ProviderName, subject: str) -> UserId | None:
        found = self._session.tables.linked_identities.get((provider, subject))
        return None if found is None else found.user_id

    async def add(self, identity: LinkedIdentity) -> None:
        self._session.require_own(identity.user_id)
        linked = self._session.tables.linked_identities
        if (identity.provider, identity.subject) in linked or any(
            mine.provider is identity.provider for mine in await self.all()
        ):
            raise self._session.refused(IdentityTaken("It is linked already."))
        linked[identity.provider, identity.subject] = identity

    async def all(self, *, lock: bool = False) -> Sequence[LinkedIdentity]:
        tenant = self._session.tenant
        linked = self._session.tables.linked_identities.values()
        return sorted(
            (identity for identity in linked if identity.user_id == tenant),
            key=lambda identity: identity.linked_at,
        )

    async def note_use(self, provider: ProviderName, email: str) -> None:
        for identity in await self.all():
            if identity.provider is provider:
                self._session.tables.linked_identities[provider, identity.subject] = replace(
                    identity, email=email, last_used_at=self._session.now
                )

    async def remove(self, provider: ProviderName) -> bool:
        mine = [identity for identity in await self.all() if identity.provider is provider]
        for identity in mine:
            del self._session.tables.linked_identities[provider, identity.subject]
        return bool(mine)


class InMemorySecondFactor(SecondFactorRepository):
    """The factor and the codes of the session's person."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self) -> TotpFactor | None:
        return self._session.tables.totp_factors.get(self._session.tenant)

    async def propose(self, secret: bytes) -> None:
        factor = await self.get() or TotpFactor(secret=None, proposed=None, last_step=0)
        self._put(replace(factor, proposed=secret))

    async def confirm(self, proposed: bytes, step: int) -> bool:
        factor = await self.get()
        if factor is None or factor.proposed != proposed:
            return False
        self._put(TotpFactor(secret=proposed, proposed=None, last_step=step))
        return True

    async def use_step(self, step: int) -> bool:
        factor = await self.get()
        if factor is None or not factor.enabled or factor.last_step >= step:
            return False
        self._put(replace(factor, last_step=step))
        return True

    async def remove(self) -> bool:
        self._forget_codes()
        factor = self._session.tables.totp_factors.pop(self._session.tenant, None)
        return factor is not None and factor.enabled

    async def replace_recovery_codes(self, digests: Sequence[str]) -> None:
        self._forget_codes()
        for digest in digests:
            self._session.tables.recovery_codes[self._session.tenant, digest] = False

    async def use_recovery_code(self, digests: Sequence[str]) -> bool:
        codes = self._session.tables.recovery_codes
        for digest in digests:
            if codes.get((self._session.tenant, digest)) is False:
                codes[self._session.tenant, digest] = True
                return True
        return False

    async def recovery_codes_left(self) -> int:
        codes, tenant = self._session.tables.recovery_codes, self._session.tenant
        return sum(not used for (owner, _), used in codes.items() if owner == tenant)

    def _forget_codes(self) -> None:
        codes, tenant = self._session.tables.recovery_codes, self._session.tenant
        for owner, digest in list(codes):
            if owner == tenant:
                del codes[owner, digest]

    def _put(self, factor: TotpFactor) -> None:
        self._session.tables.totp_factors[self._session.tenant] = factor


class InMemoryChallenges(ChallengeRepository):
    """The challenges of the session's person, and whoever's one can name."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def open(self, challenge: Challenge, digest: str) -> None:
        self._session.require_own(challenge.user_id)
        rows = self._session.tables.challenges
        for old, row in list(rows.items()):
            over = row.challenge.expires_at <= self._session.now
            if over and row.challenge.user_id == challenge.user_id:
                del rows[old]
        if digest in rows:
            raise self._session.refused(TransactionRefused("the digest is taken"))
        rows[digest] = ChallengeRow(challenge=challenge)

    async def holder(self, digest: str) -> UserId | None:
        row = self._session.tables.challenges.get(digest)
        return None if row is None else row.challenge.user_id

    async def attempt(self, digest: str, *, at_most: int) -> Challenge | None:
        row = self._live(digest)
        if row is None or row.attempts >= at_most:
            return None
        self._session.tables.challenges[digest] = replace(row, attempts=row.attempts + 1)
        return row.challenge

    async def use(self, digest: str) -> bool:
        row = self._live(digest)
        if row is None:
            return False
        self._session.tables.challenges[digest] = replace(row, used=True)
        return True

    def _live(self, digest: str) -> ChallengeRow | None:
        row = self._session.tables.challenges.get(digest)
        mine = row is not None and row.challenge.user_id == self._session.tenant
        return row if row is not None and mine and row.live(self._session.now) else None
