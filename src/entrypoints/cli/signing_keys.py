"""The keys that sign access tokens: shown, and rotated without signing anybody out."""

import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.console import Console

from adapters.security import KeyRing, UnusableKey, rotated
from adapters.system import SystemClock
from entrypoints.cli.platform import SIGNING_KEY_FILE
from entrypoints.errors import OperatorError

console = Console()

SIGNS_IN = timedelta(minutes=5)
"""By default a new key signs after so long. Every process has read it by then."""

KEEP_FOR = timedelta(hours=24)
"""A key that no longer signs is kept for so long: far longer than any access token lives."""

_AT_FIRST = datetime.min.replace(tzinfo=UTC)


class RingUnusable(OperatorError):
    """The file of the ring is not there, or does not hold one."""


@click.group("signing-keys")
def signing_keys() -> None:
    """Look after the keys that sign access tokens: JWT_SIGNING_KEY_FILE, or this folder's."""


@signing_keys.command("list")
@click.option("--file", "path", type=click.Path(path_type=Path), help="The file of the ring.")
def show(path: Path | None) -> None:
    """List the keys, and since when each signs."""
    path, text = _ring_of(path)
    now = SystemClock().now()
    ring = _parsed(path, text)
    for key in ring.signing:
        since = "always" if key.signs_from == _AT_FIRST else f"{key.signs_from:%Y-%m-%d %H:%M:%S}Z"
        signs = "  signs now" if key == ring.at(now) else ""
        console.print(f"{key.signing_key_id}  from {since}{signs}", highlight=False)


@signing_keys.command()
@click.option("--file", "path", type=click.Path(path_type=Path), help="The file of the ring.")
@click.option(
    "--signs-in",
    default=int(SIGNS_IN.total_seconds()),
    show_default=True,
    type=click.IntRange(0, 30 * 24 * 3600),
    help="Seconds until the new key signs: by then every process must have read the file.",
)
def rotate(path: Path | None, signs_in: int) -> None:
    """Add a key that signs in a while; drop those that signed until a day ago.

    Processes that were started with JWT_SIGNING_KEY_FILE read the file again by themselves.
    Others are to be started anew, in any order, before the new key signs.
    """
    path, text = _ring_of(path)
    try:
        rotation = rotated(
            text,
            SystemClock().now(),
            signs_in=timedelta(seconds=signs_in),
            keep_for=KEEP_FOR,
        )
    except UnusableKey as error:
        raise RingUnusable(f"{path}: {error}") from error
    _replace(path, rotation.text)
    console.print(
        f"{rotation.added} signs from {rotation.signs_from:%Y-%m-%d %H:%M:%S}Z.", highlight=False
    )
    for dropped in rotation.dropped:
        console.print(f"{dropped} was dropped.", highlight=False)


def _ring_of(path: Path | None) -> tuple[Path, str]:
    path = path or Path(os.environ.get("JWT_SIGNING_KEY_FILE") or SIGNING_KEY_FILE)
    try:
        return path, path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise RingUnusable(
            f"{path} cannot be read: {error}. Name the file with --file or JWT_SIGNING_KEY_FILE."
        ) from error


def _parsed(path: Path, text: str) -> KeyRing:
    try:
        return KeyRing.from_pem(text)
    except UnusableKey as error:
        raise RingUnusable(f"{path}: {error}") from error


def _replace(path: Path, text: str) -> None:
    """Put the new file in the old one's place at once, readable by whom the old one was."""
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    mode = path.stat().st_mode & 0o777
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
