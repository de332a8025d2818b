"""A person's key, as those use cases get it that change it."""

from application.ports.persistence import Transaction
from application.ports.security import Principal
from domain.keys.api_key import ApiKey
from domain.shared.errors import NotFound
from domain.shared.ids import ApiKeyId


async def owned_key(tx: Transaction, key_id: ApiKeyId) -> ApiKey:
    """The transaction's person's key.

    Raises:
        NotFound: no such key, or another person's: the two look the same.
    """
    key = await tx.keys.get(key_id)
    if key is None:
        raise NotFound("API key", key_id)
    return key


async def manageable_key(tx: Transaction, key_id: ApiKeyId, by: Principal) -> ApiKey:
    """The same, locked for a change by this caller.

    Raises:
        NotFound: no such key, or another person's.
        InsufficientScope: the caller is a key that may do less than this one.
    """
    key = await tx.keys.get(key_id, lock=True)
    if key is None:
        raise NotFound("API key", key_id)
    if by.key is not None:
        by.key.check_reach(key)
    return key
