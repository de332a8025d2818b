"""The text of an API key: ``bb_live_`` or ``bb_test_``, 36 random characters, a checksum.

36 characters of base 62 are 214 bits. The four that are shown beside a key's name, and the
last four, which are of the checksum, leave more than 160 that nobody sees. The CRC-32 stands
over everything before it, so that a mistyped or truncated key is turned away before anything
is looked up; it is no secret, and proves nothing.
"""

import re
import zlib
from dataclasses import dataclass
from enum import StrEnum

from domain.shared.errors import DomainError

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_LENGTH = 36
CHECKSUM_LENGTH = 6
SHOWN_LENGTH = 4
"""How many characters at each end are kept to tell keys apart."""

_FORM = re.compile(
    rf"bb_(live|test)_[0-9A-Za-z]{{{RANDOM_LENGTH}}}[0-9A-Za-z]{{{CHECKSUM_LENGTH}}}", re.ASCII
)


class KeyEnvironment(StrEnum):
    """Live keys do what a person does. Test keys' runs use rules in place of a model, free."""

    LIVE = "live"
    TEST = "test"


class MalformedKey(DomainError):
    """What was sent is no API key of this platform, whoever sent it."""

    code = "malformed_api_key"

    def __init__(self) -> None:
        super().__init__(
            "X-API-Key does not hold an API key: it was cut off or mistyped. Copy it whole."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyText:
    """A well-formed key. Secret: never logged, never stored."""

    environment: KeyEnvironment
    text: str

    def __repr__(self) -> str:
        return f"KeyText({self.prefix}…{self.last_four})"

    @property
    def prefix(self) -> str:
        """The beginning, which may be shown."""
        return self.text[: len(f"bb_{self.environment}_") + SHOWN_LENGTH]

    @property
    def last_four(self) -> str:
        """The end, which may be shown."""
        return self.text[-SHOWN_LENGTH:]


def compose(environment: KeyEnvironment, random: str) -> KeyText:
    """The key with those random characters.

    Raises:
        ValueError: they are not as many, or not of the alphabet.
    """
    if len(random) != RANDOM_LENGTH or not set(random) <= set(ALPHABET):
        raise ValueError(f"a key has {RANDOM_LENGTH} random characters of base 62")
    body = f"bb_{environment}_{random}"
    return KeyText(environment=environment, text=body + _checksum(body))


def parse(text: str) -> KeyText:
    """Read a key as it was sent. Looks nothing up.

    Raises:
        MalformedKey: the form or the checksum is wrong.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise MalformedKey
    if _checksum(text[:-CHECKSUM_LENGTH]) != text[-CHECKSUM_LENGTH:]:
        raise MalformedKey
    return KeyText(environment=KeyEnvironment(form[1]), text=text)


def _checksum(body: str) -> str:
    rest, digits = zlib.crc32(body.encode("ascii")), ""
    for _ in range(CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
