"""Where a webhook may be sent: which URLs are taken, and which addresses are connected to."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from domain.shared.errors import InvalidValue

MAX_URL_LENGTH = 2048
_HIGHEST_RESERVED_PORT = 1023
_HTTPS_PORT = 443

_NOT_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
"""IANA's IPv4 Special-Purpose Address Registry (RFC 6890 and after), and multicast. The cloud's
metadata services answer at 169.254.169.254 and, one of them, at 100.100.100.200."""

_METADATA = frozenset({ipaddress.IPv4Address("168.63.129.16")})
"""Azure's platform address: public by its number, and not for us to reach."""

_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
"""What is not ordinary inside global unicast: IANA's IPv6 registry. Teredo and ORCHID are in
2001::/23, and 2002::/16 is 6to4, which carries an IPv4 address. Outside of 2000::/3 nothing is
public: there lie loopback, IPv4-mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96 and 64:ff9b:1::/48),
unique local, link-local, site-local and multicast addresses."""

_LOCAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa", ".lan")

AddressPolicy = Callable[[str], bool]
"""Whether an IP address, as text, may be connected to."""


def is_public(address: str) -> bool:
    """Whether a text is the IP address of a host on the public Internet, in whatever form."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed not in _METADATA and not any(parsed in net for net in _NOT_PUBLIC_V4)
    if parsed.scope_id is not None or parsed not in _PUBLIC_V6:
        return False
    return not any(parsed in net for net in _NOT_PUBLIC_V6)


def is_address(address: str) -> bool:
    """Whether a text is an IP address at all: the policy of a laptop that calls itself."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRules:
    """Which URLs an endpoint may have. ``plain`` allows http:// and any port: for laptops.

    ``permits`` is asked here for URLs that name an IP address, and again with what a name
    resolves to, at each attempt.
    """

    plain: bool = False
    permits: AddressPolicy = is_public

    def check(self, url: str) -> str:
        """The URL, if an endpoint may have it.

        Raises:
            InvalidValue: it may not; the message says what to give instead.
        """
        if len(url) > MAX_URL_LENGTH:
            raise _refused(f"Use at most {MAX_URL_LENGTH} characters.")
        if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            raise _refused(
                "Use printable ASCII without spaces: a foreign host name in its xn-- form, and "
                "other characters percent-encoded."
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _refused("Give an absolute URL such as https://example.com/hooks.") from None
        self._check_parts(parts, port)
        return url

    def _check_parts(self, parts: SplitResult, port: int | None) -> None:
        schemes = ("https", "http") if self.plain else ("https",)
        if parts.scheme not in schemes or not parts.hostname:
            raise _refused(f"Give an absolute URL that begins with {schemes[0]}://.")
        if parts.username is not None or parts.password is not None:
            raise _refused("Leave out user name and password: the signature proves who calls.")
        if parts.fragment:
            raise _refused("Leave out the fragment (#…): it is never sent.")
        reserved = port is not None and port <= _HIGHEST_RESERVED_PORT and port != _HTTPS_PORT
        if port == 0 or (reserved and not self.plain):
            raise _refused("Use port 443, or one above 1023.")
        self._check_host(parts.hostname.rstrip("."))

    def _check_host(self, host: str) -> None:
        if is_address(host):
            if not self.permits(host):
                raise _refused("Use an address that is reachable from the public Internet.")
        elif self.permits is is_public and ("." not in host or host.endswith(_LOCAL_NAMES)):
            raise _refused("Use a host name that is known on the public Internet.")


def _refused(message: str) -> InvalidValue:
    return InvalidValue("url", message)
