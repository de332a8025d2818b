"""Where a browser may be sent back to: our own pages, and those of allowed origins."""

from collections.abc import Sequence

from domain.shared.errors import InvalidValue

MAX_LENGTH = 512


def check_return_address(address: str, origins: Sequence[str]) -> str:
    """An address that is safe to send a browser to.

    It is a path on our own origin, or begins with one of ``origins`` (``https://host[:port]``).
    What is compared is the text itself: no two readers of it can differ about its host.

    Raises:
        InvalidValue: it may lead elsewhere, or is too long.
    """
    if len(address) > MAX_LENGTH:
        raise InvalidValue("return_to", f"Use at most {MAX_LENGTH} characters.")
    if all("!" <= ch <= "~" for ch in address) and not set(address) & set("\\#"):
        own = address.startswith("/") and not address.startswith("//")
        if own or any(_within(address, origin) for origin in origins):
            return address
    raise InvalidValue(
        "return_to", "Give a path that begins with one slash, or an address of an allowed origin."
    )


def with_mark(address: str, name: str, value: str) -> str:
    """A checked address with one more word in its query. Both are ours and need no quoting."""
    return f"{address}{'&' if '?' in address else '?'}{name}={value}"


def _within(address: str, origin: str) -> bool:
    return address == origin or address.startswith((f"{origin}/", f"{origin}?"))
