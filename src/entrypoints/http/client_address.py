"""Where a request comes from: the peer, or what trusted proxies say of it."""

from collections.abc import Sequence
from typing import Final

from litestar.types import Scope

from domain.keys.addresses import within

_FOUND: Final = "bharatbuild_client_address"


def client_address(scope: Scope, proxies: Sequence[str]) -> str:
    """The address of whoever sent the request, or the empty string where there is none.

    ``X-Forwarded-For`` is read from its end, which the nearest proxy wrote, for as long as
    the one who wrote an entry is trusted. What stands before that anybody may have written.
    """
    client = scope.get("client")
    address = str(client[0]) if client else ""
    if not proxies:
        return address
    # Asked for by the limits, the audit log and more, and the same for all of a request.
    state = scope.setdefault("state", {})
    known = state.get(_FOUND)
    if known is None:
        known = state[_FOUND] = _forwarded_for(scope, address, proxies)
    return str(known)


def _forwarded_for(scope: Scope, address: str, proxies: Sequence[str]) -> str:
    if not within(address, proxies):
        return address
    forwarded = [
        entry.strip()
        for name, value in scope["headers"]
        if name.lower() == b"x-forwarded-for"
        for entry in value.decode("latin-1").split(",")
    ]
    while forwarded and within(address, proxies):
        address = forwarded.pop()
    return address
