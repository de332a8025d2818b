"""The fakes, held to what the real adapters are held to."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from application.ports.clock import Clock
from application.ports.known_places import REMEMBERED
from application.ports.live import Nudge
from application.ports.object_store import ObjectStoreUnavailable
from application.ports.webhooks import WebhookAnswer
from tests.contracts.id_maker_contract import IdMakerContract
from tests.contracts.identity_provider_contract import (
    IdentityProviderContract,
    Returned,
    SignInThere,
)
from tests.contracts.known_places_contract import KnownPlacesContract
from tests.contracts.live_contract import (
    LiveUpdatesContract,
    StreamTicketsContract,
    arriving,
    make_run_id,
)
from tests.contracts.object_store_contract import ObjectStoreContract, key_of
from tests.contracts.one_time_contract import Note, OneTimeValuesContract
from tests.contracts.security_contract import (
    AccessTokensContract,
    PasswordHasherContract,
    RefreshTokensContract,
    SecretBoxContract,
)
from tests.contracts.webhook_sender_contract import Answering, Heard, WebhookSenderContract
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.identity_provider import InMemoryIdentityProvider, InMemoryOneTimeValues
from tests.fakes.known_places import InMemoryKnownPlaces
from tests.fakes.live import InMemoryLiveUpdates, InMemoryStreamTickets
from tests.fakes.object_store import InMemoryObjectStore
from tests.fakes.security import (
    CountingRefreshTokens,
    OpaqueAccessTokens,
    PlainPasswordHasher,
    TransparentSecretBox,
)
from tests.fakes.webhooks import ScriptedWebhookSender


class TestInMemoryObjectStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> InMemoryObjectStore:
        return InMemoryObjectStore()

    async def test_it_fails_as_often_as_it_was_told(self, store: InMemoryObjectStore) -> None:
        store.fail_next(2)
        for _ in range(2):
            with pytest.raises(ObjectStoreUnavailable):
                await store.exists(key_of(b""))

        assert not await store.exists(key_of(b""))


class TestPlainPasswordHasher(PasswordHasherContract):
    @pytest.fixture
    def hasher(self) -> PlainPasswordHasher:
        return PlainPasswordHasher()

    @pytest.fixture
    def raised(self) -> PlainPasswordHasher:
        return PlainPasswordHasher(generation=2)


class TestCountingRefreshTokens(RefreshTokensContract):
    @pytest.fixture
    def refresh_tokens(self) -> CountingRefreshTokens:
        return CountingRefreshTokens()

    @pytest.fixture
    def make(self) -> Callable[..., CountingRefreshTokens]:
        return CountingRefreshTokens


class TestOpaqueAccessTokens(AccessTokensContract):
    @pytest.fixture
    def make_tokens(self) -> Callable[[Clock, timedelta], OpaqueAccessTokens]:
        return OpaqueAccessTokens


class TestTransparentSecretBox(SecretBoxContract):
    @pytest.fixture
    def box(self) -> TransparentSecretBox:
        return TransparentSecretBox()


class TestScriptedWebhookSender(WebhookSenderContract):
    @pytest.fixture
    def sender(self) -> ScriptedWebhookSender:
        return ScriptedWebhookSender()

    @pytest.fixture
    def answering(self, sender: ScriptedWebhookSender) -> Answering:
        def chosen(status: int, body: bytes, headers: dict[str, str]) -> str:
            retry = headers.get("retry-after")
            answer = WebhookAnswer(
                status=status,
                excerpt=body.decode(),
                retry_after=float(retry) if retry else None,
                address="203.0.113.9",
            )
            sender.on("https://hooks.example.com/in", answer)
            return "https://hooks.example.com/in"

        return chosen

    @pytest.fixture
    def heard(self, sender: ScriptedWebhookSender) -> Heard:
        return lambda: list(sender.sent)

    @pytest.fixture
    def nowhere(self) -> str:
        return "https://nobody.example.com/"


class TestCountingIds(IdMakerContract):
    @pytest.fixture
    def ids(self) -> CountingIds:
        return CountingIds()

    def test_they_are_the_same_in_every_run(self) -> None:
        assert CountingIds().new() == CountingIds().new()


class TestInMemoryLiveUpdates(LiveUpdatesContract):
    @pytest.fixture
    def live(self) -> InMemoryLiveUpdates:
        return InMemoryLiveUpdates()

    async def test_an_interruption_tells_followers_to_read_the_log(
        self, live: InMemoryLiveUpdates
    ) -> None:
        async with live.follow(make_run_id()) as updates:
            live.interrupt()

            assert await arriving(updates) == Nudge(seq=0)


class TestInMemoryStreamTickets(StreamTicketsContract):
    @pytest.fixture
    def clock(self) -> MovableClock:
        return MovableClock()

    @pytest.fixture
    def tickets(self, clock: MovableClock) -> InMemoryStreamTickets:
        return InMemoryStreamTickets(clock)

    @pytest.fixture
    def let_pass(self, clock: MovableClock) -> Callable[[int], Awaitable[None]]:
        async def let_pass(seconds: int) -> None:
            clock.move(timedelta(seconds=seconds))

        return let_pass


class TestInMemoryKnownPlaces(KnownPlacesContract):
    @pytest.fixture
    def clock(self) -> MovableClock:
        return MovableClock()

    @pytest.fixture
    def places(self, clock: MovableClock) -> InMemoryKnownPlaces:
        return InMemoryKnownPlaces(clock)

    @pytest.fixture
    def forget_by_age(self, clock: MovableClock) -> Callable[[], Awaitable[None]]:
        async def forget_by_age() -> None:
            clock.move(REMEMBERED)

        return forget_by_age


class TestInMemoryOneTimeValues(OneTimeValuesContract):
    @pytest.fixture
    def clock(self) -> MovableClock:
        return MovableClock()

    @pytest.fixture
    def values(self, clock: MovableClock) -> InMemoryOneTimeValues[Note]:
        return InMemoryOneTimeValues(clock)

    @pytest.fixture
    def let_pass(self, clock: MovableClock) -> Callable[[int], Awaitable[None]]:
        async def let_pass(seconds: int) -> None:
            clock.move(timedelta(seconds=seconds))

        return let_pass


class TestInMemoryIdentityProvider(IdentityProviderContract):
    @pytest.fixture
    def provider(self) -> InMemoryIdentityProvider:
        provider = InMemoryIdentityProvider()
        provider.person("unverified", email_verified=False)
        return provider

    @pytest.fixture
    def sign_in_there(self, provider: InMemoryIdentityProvider) -> SignInThere:
        async def sign_in(url: str, name: str) -> Returned:
            state = parse_qs(urlsplit(url).query)["state"][0]
            return Returned(state=state, code=provider.approve(url, name))

        return sign_in
