"""What a process remembers of keys, for as long as it would hear of a change."""

from dataclasses import dataclass

from application.identity.account_cache import REMEMBERED_SECONDS as REMEMBERED_SECONDS
from application.identity.account_cache import AccountCache
from domain.identity.user import Role
from domain.keys.api_key import ApiKey


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key that can be used, by which secret's digest, and its owner's role, as they were read."""

    key: ApiKey
    digest: str
    role: Role


class KeyCache(AccountCache[str, KnownKey]):
    """Keys by their text's newest digest."""
