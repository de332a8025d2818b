"""An address is believed from its peer, and from those who are trusted."""

import pytest

from entrypoints.http.client_address import client_address

PROXY, CDN, CLIENT = "10.0.0.2", "192.0.2.10", "203.0.113.9"
TRUSTED = ("10.0.0.0/8", "192.0.2.0/24")


def scope(peer: str | None, *forwarded: str) -> dict[str, object]:
    return {
        "client": (peer, 1234) if peer is not None else None,
        "headers": [(b"x-forwarded-for", line.encode()) for line in forwarded],
    }


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        (CLIENT, (), (), CLIENT),
        (CLIENT, ("1.2.3.4",), (), CLIENT),
        (CLIENT, ("1.2.3.4",), TRUSTED, CLIENT),
        (PROXY, (CLIENT,), TRUSTED, CLIENT),
        # What a client wrote stands before what the proxies wrote.
        (PROXY, (f"1.2.3.4, {CLIENT}",), TRUSTED, CLIENT),
        (PROXY, (f"1.2.3.4, {CLIENT}, {CDN}",), TRUSTED, CLIENT),
        (PROXY, ("1.2.3.4", f"{CLIENT}, {CDN}"), TRUSTED, CLIENT),
        (PROXY, (), TRUSTED, PROXY),
        (PROXY, (CDN,), TRUSTED, CDN),
        (PROXY, ("nonsense",), TRUSTED, "nonsense"),
        (None, (CLIENT,), TRUSTED, ""),
    ],
)
def test_whose_address_counts(
    peer: str | None, forwarded: tuple[str, ...], trusted: tuple[str, ...], address: str
) -> None:
    assert client_address(scope(peer, *forwarded), trusted) == address  # type: ignore[arg-type]
