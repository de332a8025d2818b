"""argon2id password hashes."""

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION

_T = TypeVar("_T")
_SALT_BYTES = 16
_HASH_BYTES = 32


class UnreadablePasswordHash(Exception):
    """A stored password hash is not one that argon2 can check: the stored data is damaged, or
    the machine has no memory for the parameters it names. Never shows the hash."""


class Argon2PasswordHasher:
    """Hashes and checks passwords off the event loop, a bounded number at a time.

    Args:
        concurrency: how many hashes may run at once; each takes ``memory_kib`` for its duration.
            Others wait their turn.
        time_cost: passes over the memory.
        memory_kib: memory of one hash, in KiB.
        parallelism: lanes, and threads of one hash.

    The defaults are the second recommended option of RFC 9106 §4 (t=3, 64 MiB, p=4), well above
    the floor of OWASP's Password Storage Cheat Sheet (t=2, 19 MiB, p=1).
    """

    def __init__(
        self,
        concurrency: int = 2,
        time_cost: int = 3,
        memory_kib: int = 64 * 1024,
        parallelism: int = 4,
    ) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=time_cost,
            memory_cost=memory_kib,
            parallelism=parallelism,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=argon2.Type.ID,
        )
        self._decoy = _hash_of_nothing(time_cost, memory_kib, parallelism)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="argon2")

    async def hash(self, password: str) -> str:
        """The PHC string of this password with a fresh salt."""
        return await self._run(self._argon2.hash, _prepared(password))

    async def verify(self, password: str, password_hash: str) -> bool:
        """Whether they belong together, whatever parameters the hash was made with.

        Raises:
            UnreadablePasswordHash: ``password_hash`` cannot be checked at all.
        """
        return await self._run(self._verify, _prepared(password), password_hash)

    async def waste(self, password: str) -> None:
        """Do the work of :meth:`verify` with today's parameters, to no end, so that an unknown
        account answers no sooner than a known one."""
        await self._run(self._verify, _prepared(password), self._decoy)

    def outdated(self, password_hash: str) -> bool:
        """Whether the hash is weaker than one made today. A stronger one is not outdated:
        hashing it again after a configuration was rolled back would weaken it.

        Raises:
            UnreadablePasswordHash: ``password_hash`` is not an argon2 hash.
        """
        try:
            stored = argon2.extract_parameters(password_hash)
        except InvalidHashError as error:
            raise UnreadablePasswordHash("A stored password hash is not argon2's.") from error
        return (
            stored.type is not argon2.Type.ID
            or stored.version < ARGON2_VERSION
            or stored.time_cost < self._argon2.time_cost
            or stored.memory_cost < self._argon2.memory_cost
            or stored.hash_len < _HASH_BYTES
            or stored.salt_len < _SALT_BYTES
        )

    def close(self) -> None:
        """Let go of the threads once the hashes under way are done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: bytes, password_hash: str) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError, UnicodeEncodeError) as error:
            reason = str(error) if isinstance(error, VerificationError) else "not argon2's"
            raise UnreadablePasswordHash(
                f"A stored password hash cannot be checked: {reason}."
            ) from error

    async def _run(self, work: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _prepared(password: str) -> bytes:
    # NFC, so that a vowel sign or nukta typed as one code point on a phone and as two on a
    # laptop is the same password (RFC 8265 §4.2.2). A lone surrogate, which JSON can carry, must
    # not turn into an error that only some passwords cause.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _hash_of_nothing(time_cost: int, memory_kib: int, parallelism: int) -> str:
    # Random bytes in the place of a digest cost the same to check against as a real one, and
    # nothing to make: no first caller waits twice as long.
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
        for size in (_SALT_BYTES, _HASH_BYTES)
    )
    parameters = f"m={memory_kib},t={time_cost},p={parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${parameters}${salt}${digest}"
