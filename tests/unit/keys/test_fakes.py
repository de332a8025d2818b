"""The fakes of keys, held to what the real adapters are held to."""

from collections.abc import Awaitable, Callable

import pytest

from adapters.security import PepperedKeySecrets, Peppers, UnusableKey, generate_pepper
from tests.contracts.keys_contract import ApiKeysContract, KeyChangesContract, KeySecretsContract
from tests.fakes.clock import MovableClock
from tests.fakes.keys import CountingKeySecrets, InMemoryKeyChanges
from tests.fakes.persistence import InMemoryDatabase, InMemoryUnitOfWork


class TestInMemoryApiKeys(ApiKeysContract):
    @pytest.fixture
    def uow(self) -> InMemoryUnitOfWork:
        return InMemoryUnitOfWork(InMemoryDatabase(MovableClock()))


class TestCountingKeySecrets(KeySecretsContract):
    @pytest.fixture
    def key_secrets(self) -> CountingKeySecrets:
        return CountingKeySecrets(1)

    @pytest.fixture
    def with_newer_pepper(self) -> CountingKeySecrets:
        return CountingKeySecrets(2, 1)


OLD = generate_pepper(1)


class TestPepperedKeySecrets(KeySecretsContract):
    @pytest.fixture
    def key_secrets(self) -> PepperedKeySecrets:
        return PepperedKeySecrets(Peppers.parse(OLD))

    @pytest.fixture
    def with_newer_pepper(self) -> PepperedKeySecrets:
        return PepperedKeySecrets(Peppers.parse(f"{OLD}\n{generate_pepper(2)}"))

    def test_another_pepper_gives_another_digest(self, key_secrets: PepperedKeySecrets) -> None:
        from domain.keys.key_text import KeyEnvironment

        key = key_secrets.mint(KeyEnvironment.LIVE)
        stranger = PepperedKeySecrets(Peppers.parse(generate_pepper(1)))
        assert stranger.digests(key) != key_secrets.digests(key)

    @pytest.mark.parametrize(
        "text", ["", "1", "1:", "x:" + "ab" * 32, "1:" + "ab" * 31, "0:" + "ab" * 32, "1:zz"]
    )
    def test_a_pepper_that_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(UnusableKey):
            Peppers.parse(text)

    def test_two_peppers_of_one_version_are_refused(self) -> None:
        with pytest.raises(UnusableKey):
            Peppers.parse(f"{OLD} {generate_pepper(1)}")

    def test_peppers_are_not_shown(self) -> None:
        assert OLD.partition(":")[2] not in repr(Peppers.parse(OLD))


class TestInMemoryKeyChanges(KeyChangesContract):
    @pytest.fixture
    def changes(self) -> InMemoryKeyChanges:
        return InMemoryKeyChanges()

    @pytest.fixture
    def interrupt(self, changes: InMemoryKeyChanges) -> Callable[[], Awaitable[None]]:
        async def interrupt() -> None:
            changes.cut()
            changes.mend()

        return interrupt
