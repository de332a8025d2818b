"""Internet addresses: who calls from where, and networks that keys are kept to."""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from domain.shared.errors import InvalidValue

MAX_NETWORKS = 50
_HOME_NETWORK = 64
"""Bits of an IPv6 address that one subscriber has (RFC 6177): the rest they choose freely."""

_MAPPED = 96
"""Bits that say that an IPv6 address is an IPv4 one (RFC 4291 §2.5.5.2)."""


def clean_networks(given: Iterable[str]) -> tuple[str, ...]:
    """Networks in CIDR notation, in their normal form; a lone address is a network of one.

    IPv4 ones that are written as IPv6 become what they are, as callers' addresses do.

    Raises:
        InvalidValue: one is none, has host bits or a zone, or there are too many.
    """
    networks = []
    for text in given:
        try:
            if "%" in text:
                raise ValueError("an address with a zone is no caller's")
            networks.append(str(_network(text.strip())))
        except ValueError as error:
            raise InvalidValue(
                "allowed_ips", f"Give networks like 203.0.113.0/24 or 2001:db8::/32: {error}."
            ) from error
    if len(networks) > MAX_NETWORKS:
        raise InvalidValue("allowed_ips", f"Give at most {MAX_NETWORKS} networks.")
    return tuple(dict.fromkeys(networks))


def within(address: str, networks: Iterable[str]) -> bool:
    """Whether the address lies in one of the networks. One that cannot be read does not."""
    host = address_of(address)
    return host is not None and any(host in _network(network) for network in networks)


def covered(networks: Iterable[str], by: Iterable[str]) -> bool:
    """Whether there are networks, and each of them lies in one of the others."""
    inner, outer = [_network(each) for each in networks], [_network(each) for each in by]
    return bool(inner) and all(any(_lies_in(each, other) for other in outer) for each in inner)


def caller(address: str) -> str:
    """Who is counted as one caller: an IPv4 address, or an IPv6 subscriber's network."""
    host = address_of(address)
    if host is None:
        return "unknown"
    if isinstance(host, IPv6Address):
        return str(ip_network((host, _HOME_NETWORK), strict=False))
    return str(host)


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """The address, an IPv4 one that is written as IPv6 as what it is; None if it is none."""
    try:
        host = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(host, IPv6Address) and host.ipv4_mapped is not None:
        return host.ipv4_mapped
    return host


def _network(text: str) -> IPv4Network | IPv6Network:
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED))
    return network


def _lies_in(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)
