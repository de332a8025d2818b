"""argon2id hashes. The parameters here are the smallest, for the tests' sake."""

import asyncio
import threading

import pytest

from adapters.security import Argon2PasswordHasher, UnreadablePasswordHash
from tests.contracts.security_contract import PASSWORD, PasswordHasherContract


def cheap(
    concurrency: int = 2, time_cost: int = 1, memory_kib: int = 64, parallelism: int = 1
) -> Argon2PasswordHasher:
    return Argon2PasswordHasher(concurrency, time_cost, memory_kib, parallelism)


class TestArgon2PasswordHasher(PasswordHasherContract):
    @pytest.fixture
    def hasher(self) -> Argon2PasswordHasher:
        return cheap()

    @pytest.fixture(params=[{"time_cost": 2}, {"memory_kib": 128}], ids=str)
    def raised(self, request: pytest.FixtureRequest) -> Argon2PasswordHasher:
        return cheap(**request.param)

    async def test_a_hash_is_a_phc_string_with_its_parameters(
        self, hasher: Argon2PasswordHasher
    ) -> None:
        assert (await hasher.hash(PASSWORD)).startswith("$argon2id$v=19$m=64,t=1,p=1$")

    async def test_a_stronger_hash_is_not_outdated(
        self, hasher: Argon2PasswordHasher, raised: Argon2PasswordHasher
    ) -> None:
        assert not hasher.outdated(await raised.hash(PASSWORD))

    async def test_composed_and_decomposed_letters_are_the_same_password(
        self, hasher: Argon2PasswordHasher
    ) -> None:
        composed, decomposed = "ré-écrit-à-la-main", "re\u0301-e\u0301crit-a\u0300-la-main"

        assert await hasher.verify(decomposed, await hasher.hash(composed))

    async def test_a_lone_surrogate_is_a_password_like_any_other(
        self, hasher: Argon2PasswordHasher
    ) -> None:
        assert await hasher.verify("\ud800" * 12, await hasher.hash("\ud800" * 12))

    @pytest.mark.parametrize(
        "damaged",
        [
            "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$",
            "$argon2id$v=19$m=64,t=1,p=1$!$!",
            "$argon2id$v=19$m=x,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaA",
            "$argon2id$nonsense",
        ],
    )
    async def test_a_damaged_argon2_hash_is_an_error_too(
        self, hasher: Argon2PasswordHasher, damaged: str
    ) -> None:
        with pytest.raises(UnreadablePasswordHash):
            await hasher.verify(PASSWORD, damaged)

    @pytest.mark.parametrize("damaged", ["", "hunter2", "$argon2id$nonsense", "ä"])
    def test_a_damaged_hash_is_neither_outdated_nor_fresh(
        self, hasher: Argon2PasswordHasher, damaged: str
    ) -> None:
        with pytest.raises(UnreadablePasswordHash):
            hasher.outdated(damaged)

    async def test_an_error_does_not_show_the_hash(self, hasher: Argon2PasswordHasher) -> None:
        with pytest.raises(UnreadablePasswordHash) as damage:
            await hasher.verify(PASSWORD, "$argon2id$v=19$m=64,t=1,p=1$c2VjcmV0$c2VjcmV0")

        assert "c2VjcmV0" not in str(damage.value)


async def test_the_defaults_are_rfc_9106s_second_choice() -> None:
    stored = await Argon2PasswordHasher().hash(PASSWORD)

    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_wasting_time_does_the_work_of_verifying(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    hasher = cheap(time_cost=2, memory_kib=128)
    verify = hasher._argon2.verify

    class Watched:
        def verify(self, password_hash: str, password: bytes) -> bool:
            checked.append(password_hash)
            return verify(password_hash, password)

    monkeypatch.setattr(hasher, "_argon2", Watched())
    await hasher.waste(PASSWORD)

    assert [text.rsplit("$", 2)[0] for text in checked] == ["$argon2id$v=19$m=128,t=2,p=1"]


class CountedWork:
    """Work in threads that can be held up, and that knows how much of it ran at once."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.begun = threading.Semaphore(0)
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, *_: object) -> str:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.begun.release()
        self.release.wait(10)
        with self._lock:
            self.now -= 1
        return "hash"


async def test_no_more_run_at_once_than_allowed_even_when_callers_give_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasher, work = cheap(concurrency=2), CountedWork()
    monkeypatch.setattr(hasher, "_argon2", type("Argon2", (), {"hash": work}))
    impatient = [asyncio.create_task(hasher.hash(PASSWORD)) for _ in range(6)]
    for _ in range(2):
        await asyncio.to_thread(work.begun.acquire)
    for task in impatient:
        task.cancel()
    await asyncio.gather(*impatient, return_exceptions=True)

    patient = [asyncio.create_task(hasher.hash(PASSWORD)) for _ in range(2)]
    await asyncio.sleep(0)
    work.release.set()
    await asyncio.gather(*patient)

    assert work.most == 2


async def test_the_event_loop_keeps_turning_while_a_hash_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasher, work = cheap(), CountedWork()
    monkeypatch.setattr(hasher, "_argon2", type("Argon2", (), {"hash": work}))
    hashing = asyncio.create_task(hasher.hash(PASSWORD))
    await asyncio.to_thread(work.begun.acquire)

    assert not hashing.done()

    work.release.set()
    assert await hashing == "hash"
