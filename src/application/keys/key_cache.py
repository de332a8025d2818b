"""What a process remembers of keys, for as long as it would hear of a change."""

from dataclasses import dataclass, field

from application.identity.account_cache import REMEMBERED_SECONDS as REMEMBERED_SECONDS
from application.identity.account_cache import AccountCache
from application.ports.rate_limiter import Charge
from application.ports.security import Principal
from domain.identity.user import Role
from domain.keys.api_key import ApiKey
from domain.keys.rate_limit import RatePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCaller:
    """Who calls with a key, and the key's own limits.

    ``charges``: what a call of a cost is charged, as it was worked out for the first such call.
    """

    principal: Principal
    limits: tuple[RatePolicy, ...]
    charges: dict[int, tuple[Charge, ...]] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key that can be used, by which secret's digest, and its owner's role, as they were read."""

    key: ApiKey
    digest: str
    role: Role
    caller: KeyCaller = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        key = self.key
        principal = Principal(user_id=key.user_id, role=self.role, key=key.acting(self.role))
        object.__setattr__(self, "caller", KeyCaller(principal=principal, limits=key.limits))


class KeyCache(AccountCache[str, KnownKey]):
    """Keys by their text's newest digest."""
