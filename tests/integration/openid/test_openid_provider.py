"""A real provider, by its contract; and one that does what a good one never does."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from adapters.google import google
from adapters.openid import OpenIdProvider, OpenIdSettings
from adapters.system import SystemClock
from application.ports.identity_provider import CodeGrant
from domain.identity.linked_identity import (
    ExternalIdentity,
    IdentityRejected,
    ProviderName,
    ProviderRefused,
    ProviderUnavailable,
)
from tests.contracts.identity_provider_contract import (
    IdentityProviderContract,
    Returned,
    SignInThere,
    grant_of,
    make_request,
)
from tests.fakes.clock import MovableClock
from tests.servers.hostile_openid import CLIENT, Answer, HostileProvider, public_jwk, rsa_key
from tests.servers.openid_provider import RealProvider, running_provider

CALLBACK = "http://127.0.0.1:9/api/v1/auth/google/callback"
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture(scope="module")
async def there() -> AsyncIterator[RealProvider]:
    async with running_provider(CALLBACK) as provider:
        yield provider


class TestGoogleOverARealProvider(IdentityProviderContract):
    @pytest.fixture
    async def provider(self, there: RealProvider) -> AsyncIterator[OpenIdProvider]:
        provider = google(
            client_id=there.client_id,
            client_secret=there.client_secret,
            redirect_uri=there.redirect_uri,
            clock=SystemClock(),
            issuer=there.issuer,
        )
        yield provider
        await provider.aclose()

    @pytest.fixture
    def sign_in_there(self, there: RealProvider) -> SignInThere:
        async def sign_in(url: str, person: str) -> Returned:
            said = parse_qs(urlsplit(await there.sign_in(url, person)).query)
            return Returned(state=said["state"][0], code=said["code"][0], issuer=said["iss"][0])

        return sign_in

    async def test_a_code_that_says_it_comes_from_elsewhere_is_rejected(
        self, provider: OpenIdProvider, sign_in_there: SignInThere
    ) -> None:
        request = make_request()
        returned = await sign_in_there(await provider.authorization_url(request), "asha")
        for issuer in ("https://evil.example", None):
            elsewhere = Returned(state=returned.state, code=returned.code, issuer=issuer)
            with pytest.raises(IdentityRejected):
                await provider.identity(grant_of(request, elsewhere))

    async def test_a_wrong_client_secret_is_an_outage_and_not_a_persons_fault(
        self, there: RealProvider, sign_in_there: SignInThere
    ) -> None:
        impostor = google(
            client_id=there.client_id,
            client_secret="wrong",
            redirect_uri=there.redirect_uri,
            clock=SystemClock(),
            issuer=there.issuer,
        )
        request = make_request()
        returned = await sign_in_there(await impostor.authorization_url(request), "asha")
        with pytest.raises(ProviderUnavailable):
            await impostor.identity(grant_of(request, returned))
        await impostor.aclose()


async def test_a_provider_that_keeps_the_email_for_later_is_asked_for_it() -> None:
    async with running_provider(CALLBACK, claims_by_userinfo=True) as there:
        provider = google(
            client_id=there.client_id,
            client_secret=there.client_secret,
            redirect_uri=there.redirect_uri,
            clock=SystemClock(),
            issuer=there.issuer,
        )
        request = make_request()
        back = await there.sign_in(await provider.authorization_url(request), "asha")
        said = parse_qs(urlsplit(back).query)
        returned = Returned(state="", code=said["code"][0], issuer=said["iss"][0])
        identity = await provider.identity(grant_of(request, returned))
        assert (identity.subject, identity.email) == ("asha", "asha@example.com")
        await provider.aclose()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(datetime.now(UTC))


@pytest.fixture
def server(clock: MovableClock) -> Iterator[HostileProvider]:
    with HostileProvider() as hostile:
        hostile.now = lambda: clock.now().timestamp()
        yield hostile


@pytest.fixture
async def provider(server: HostileProvider, clock: MovableClock) -> AsyncIterator[OpenIdProvider]:
    provider = OpenIdProvider(settings_for(server), clock)
    yield provider
    await provider.aclose()


@pytest.fixture
async def hasty(server: HostileProvider, clock: MovableClock) -> AsyncIterator[OpenIdProvider]:
    """One that waits for nothing long: for answers that never come."""
    provider = OpenIdProvider(settings_for(server, answer_timeout=1.0), clock)
    yield provider
    await provider.aclose()


def settings_for(server: HostileProvider, **changes: Any) -> OpenIdSettings:
    values: dict[str, Any] = {
        "name": ProviderName.GOOGLE,
        "issuer": server.issuer,
        "client_id": CLIENT,
        "client_secret": "secret",
        "redirect_uri": CALLBACK,
        "answer_timeout": 20.0,  # far beyond what a busy machine takes
    }
    return OpenIdSettings(**values | changes)


async def signed_in(provider: OpenIdProvider, server: HostileProvider) -> ExternalIdentity:
    """What comes of a sign-in that the server answers."""
    request = make_request()
    server.nonce = request.nonce
    return await provider.identity(
        CodeGrant(code="code", nonce=request.nonce, verifier=request.verifier)
    )


async def test_when_it_behaves_it_is_believed(
    provider: OpenIdProvider, server: HostileProvider
) -> None:
    identity = await signed_in(provider, server)
    assert identity == ExternalIdentity(
        provider=ProviderName.GOOGLE,
        subject="subject-1",
        email="asha@example.com",
        email_verified=True,
        name="Asha Rao",
    )
    url = await provider.authorization_url(make_request())
    assert url.startswith(f"{server.issuer}/authorize?tenant=1&")
    assert "secret" not in url


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {key: value for key, value in claims.items() if key != name}


def with_(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {**claims, **changes}


def later(**seconds: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {
        **claims,
        **{name: claims["iat"] + offset for name, offset in seconds.items()},
    }


WRONG_CLAIMS = {
    "another nonce": with_(nonce="another"),
    "a nonce that is no text": with_(nonce=["x"]),
    "no nonce": without("nonce"),
    "another audience": with_(aud="somebody-else"),
    "an audience besides ours": with_(aud=[CLIENT, "somebody-else"]),
    "an audience like ours": with_(aud=CLIENT + " "),
    "no audience": without("aud"),
    "another authorised party": with_(azp="somebody-else"),
    "another issuer": with_(iss="https://accounts.google.com.evil.example"),
    "an issuer with a slash": lambda claims: {**claims, "iss": claims["iss"] + "/"},
    "no issuer": without("iss"),
    "expired": later(exp=-31),
    "an expiry that is no time": with_(exp="tomorrow"),
    "an expiry that is true": with_(exp=True),
    "no expiry": without("exp"),
    "from the future": later(iat=31),
    "from long ago": later(iat=-601),
    "not yet valid": later(nbf=31),
    "no subject": without("sub"),
    "an empty subject": with_(sub=""),
    "a subject that is no text": with_(sub=5),
    "a subject too long": with_(sub="s" * 256),
    "a subject with a line's end": with_(sub="a\nb"),
}


@pytest.mark.parametrize("wrong", WRONG_CLAIMS)
async def test_a_token_that_does_not_fit_is_rejected(
    provider: OpenIdProvider, server: HostileProvider, wrong: str
) -> None:
    server.token = WRONG_CLAIMS[wrong]
    with pytest.raises(IdentityRejected):
        await signed_in(provider, server)


async def test_clocks_may_differ_a_little(
    provider: OpenIdProvider, server: HostileProvider
) -> None:
    for near in (later(exp=-29), later(iat=29), later(nbf=29)):
        server.token = near
        assert (await signed_in(provider, server)).subject == "subject-1"


@pytest.mark.parametrize("wrong", ["unsigned", "signed_with_the_public_key"])
async def test_a_token_that_anybody_could_sign_is_rejected(
    provider: OpenIdProvider, server: HostileProvider, wrong: str
) -> None:
    server.written = getattr(server, wrong)
    with pytest.raises(IdentityRejected):
        await signed_in(provider, server)


async def test_a_token_of_another_key_under_a_known_name_is_rejected(
    provider: OpenIdProvider, server: HostileProvider
) -> None:
    server.signing = rsa_key("another")
    with pytest.raises(IdentityRejected):
        await signed_in(provider, server)


async def test_keys_that_prove_nothing_are_no_keys(
    provider: OpenIdProvider, server: HostileProvider
) -> None:
    """A shared secret, a key that is short, one for encryption, a private half, and rubbish."""
    private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key("k1")))
    short = rsa_key("short", 1024)
    server.keys = [
        {"kty": "oct", "k": "c2VjcmV0LXRoYXQtaXMtbG9uZy1lbm91Z2gtZm9yLUhTMjU2", "kid": "oct"},
        public_jwk(short, "short"),
        {**public_jwk(rsa_key("k1"), "enc"), "use": "enc"},
        {**private, "kid": "private"},
        {"kid": "rubbish", "kty": "RSA", "n": "!", "e": "!"},
        {"kid": 5},
        {},
    ]
    for kid, key in (("short", short), ("enc", rsa_key("k1")), ("private", rsa_key("k1"))):
        server.kid, server.signing = kid, key
        with pytest.raises(IdentityRejected):
            await signed_in(provider, server)
    server.written = lambda claims: jwt.encode(
        claims, b"secret-that-is-long-enough-for-HS256", "HS256", headers={"kid": "oct"}
    )
    with pytest.raises(IdentityRejected):
        await signed_in(provider, server)


async def test_a_key_of_another_kind_is_good_where_it_is_allowed(
    server: HostileProvider, clock: MovableClock
) -> None:
    key = generate_private_key(SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    server.keys = [{**public, "kid": "ec"}]
    server.written = lambda claims: jwt.encode(claims, key, "ES256", headers={"kid": "ec"})
    provider = OpenIdProvider(settings_for(server), clock)
    assert (await signed_in(provider, server)).subject == "subject-1"
    only_rsa = OpenIdProvider(settings_for(server, algorithms=frozenset({"RS256"})), clock)
    with pytest.raises(IdentityRejected):
        await signed_in(only_rsa, server)
    await provider.aclose()
    await only_rsa.aclose()


async def test_a_new_key_is_fetched_and_an_unknown_one_once_a_minute(
    provider: OpenIdProvider, server: HostileProvider, clock: MovableClock
) -> None:
    await signed_in(provider, server)
    assert server.times_asked("/keys") == 1
    server.kid = "made-up"
    clock.move(timedelta(seconds=61))
    for _ in range(20):
        with pytest.raises(IdentityRejected):
            await signed_in(provider, server)
    assert server.times_asked("/keys") == 2
    # The provider changes its key: found when the minute is over.
    server.keys.append(public_jwk(rsa_key("k2"), "k2"))
    server.kid, server.signing = "k2", rsa_key("k2")
    with pytest.raises(IdentityRejected):
        await signed_in(provider, server)
    clock.move(timedelta(seconds=61))
    assert (await signed_in(provider, server)).subject == "subject-1"
    assert server.times_asked("/keys") == 3
    assert server.times_asked(DISCOVERY) == 1


async def test_many_at_once_fetch_once(provider: OpenIdProvider, server: HostileProvider) -> None:
    request = make_request()
    server.nonce = request.nonce
    grant = CodeGrant(code="code", nonce=request.nonce, verifier=request.verifier)
    identities = await asyncio.gather(*(provider.identity(grant) for _ in range(20)))
    assert {identity.subject for identity in identities} == {"subject-1"}
    assert (server.times_asked(DISCOVERY), server.times_asked("/keys")) == (1, 1)


async def test_what_is_known_is_used_while_the_provider_is_away(
    provider: OpenIdProvider, server: HostileProvider, clock: MovableClock
) -> None:
    await signed_in(provider, server)
    broken = Answer(body=b"broken", status=500)
    server.answers |= {DISCOVERY: broken, "/keys": broken}
    clock.move(timedelta(hours=2))
    assert (await signed_in(provider, server)).subject == "subject-1"
    clock.move(timedelta(hours=23))
    with pytest.raises(ProviderUnavailable):
        await signed_in(provider, server)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "🙂.🙂.🙂", "x" * 20_000, "e30.e30."])
async def test_what_is_no_token_is_rejected(
    provider: OpenIdProvider, server: HostileProvider, token: str
) -> None:
    server.written = lambda _: token
    with pytest.raises(IdentityRejected):
        await signed_in(provider, server)


async def test_the_emails_of_another_subject_are_rejected(
    provider: OpenIdProvider, server: HostileProvider
) -> None:
    server.token = without("email")
    told = {"sub": "subject-2", "email": "victim@example.com", "email_verified": True}
    server.answers["/me"] = Answer(body=json.dumps(told).encode())
    with pytest.raises(IdentityRejected):
        await signed_in(provider, server)
    told["sub"] = "subject-1"
    server.answers["/me"] = Answer(body=json.dumps(told).encode())
    assert (await signed_in(provider, server)).email == "victim@example.com"


@pytest.mark.parametrize("verified", ["true", 1, None, "false", {"x": 1}])
async def test_only_true_means_that_an_email_is_verified(
    provider: OpenIdProvider, server: HostileProvider, verified: object
) -> None:
    server.token = with_(email_verified=verified)
    assert not (await signed_in(provider, server)).email_verified


async def test_an_email_or_a_name_of_another_kind_is_none(
    provider: OpenIdProvider, server: HostileProvider
) -> None:
    server.token = with_(email="e" * 400, name=["x"])
    identity = await signed_in(provider, server)
    assert (identity.email, identity.name) == ("", "")


BAD_ANSWERS = {
    "an error": Answer(body=b"", status=500),
    "not there": Answer(body=b"", status=404),
    "no JSON": Answer(body=b"<html>"),
    "nothing": Answer(body=b""),
    "another shape": Answer(body=b'{"issuer": 5}'),
    "a list": Answer(body=b"[]"),
    "no UTF-8": Answer(body=b'{"x": "\xff"}'),
    "deep": Answer(body=b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "huge": Answer(body=b'{"x": "' + b"x" * 300_000 + b'"}'),
    "a redirect": Answer(body=b"", status=302, headers={"Location": "http://127.0.0.1:9/"}),
    "compressed": Answer(
        body=gzip.compress(b" " * 5_000_000), headers={"Content-Encoding": "gzip"}
    ),
}
ENDLESS_ANSWERS = {
    "slow": Answer(body=b"{}", wait=1.5),
    "byte by byte": Answer(body=b" " * 1000, drip=0.05),
}


@pytest.mark.parametrize("path", [DISCOVERY, "/token", "/keys"])
@pytest.mark.parametrize("bad", BAD_ANSWERS)
async def test_a_bad_answer_is_an_outage(
    provider: OpenIdProvider, server: HostileProvider, path: str, bad: str
) -> None:
    server.answers[path] = BAD_ANSWERS[bad]
    with pytest.raises((ProviderUnavailable, IdentityRejected)):
        await signed_in(provider, server)


@pytest.mark.parametrize("path", [DISCOVERY, "/token", "/keys"])
@pytest.mark.parametrize("bad", ENDLESS_ANSWERS)
async def test_an_answer_that_does_not_end_is_an_outage_in_bounded_time(
    hasty: OpenIdProvider, server: HostileProvider, path: str, bad: str
) -> None:
    server.answers[path] = ENDLESS_ANSWERS[bad]
    began = time.monotonic()
    with pytest.raises(ProviderUnavailable):
        await signed_in(hasty, server)
    assert time.monotonic() - began < 30  # the bytes alone would take 50


async def test_a_provider_that_is_not_there_is_an_outage(
    server: HostileProvider, clock: MovableClock
) -> None:
    provider = OpenIdProvider(settings_for(server, issuer="http://127.0.0.1:9"), clock)
    with pytest.raises(ProviderUnavailable):
        await provider.authorization_url(make_request())
    await provider.aclose()


async def test_those_who_wait_for_a_slow_provider_do_not_queue_up(
    hasty: OpenIdProvider, server: HostileProvider
) -> None:
    server.answers[DISCOVERY] = Answer(body=b"{}", wait=1.5)
    outcomes = await asyncio.gather(
        *(hasty.authorization_url(make_request()) for _ in range(10)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {ProviderUnavailable}
    assert server.times_asked(DISCOVERY) == 1


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error": "invalid_grant"}', ProviderRefused),
        (b'{"error": "invalid_client"}', ProviderUnavailable),
        (b'{"error": ["x"]}', ProviderUnavailable),
        (b"no", ProviderUnavailable),
    ],
)
async def test_a_refusal_is_told_from_an_outage(
    provider: OpenIdProvider, server: HostileProvider, body: bytes, error: type[Exception]
) -> None:
    server.answers["/token"] = Answer(body=body, status=httpx.codes.BAD_REQUEST)
    with pytest.raises(error):
        await signed_in(provider, server)


async def test_a_document_of_another_issuer_or_scheme_is_not_taken(
    provider: OpenIdProvider, server: HostileProvider, clock: MovableClock
) -> None:
    wrong: tuple[dict[str, str], ...] = (
        {"issuer": server.issuer + "/"},
        {"token_endpoint": "https://127.0.0.1/token"},
        {"jwks_uri": "file:///etc/passwd"},
    )
    for changes in wrong:
        server.configuration = lambda document, changes=changes: {**document, **changes}
        fresh = OpenIdProvider(settings_for(server), clock)
        with pytest.raises(ProviderUnavailable):
            await fresh.authorization_url(make_request())
        await fresh.aclose()


async def test_the_secret_goes_in_the_form_where_the_provider_wants_it_there(
    provider: OpenIdProvider, server: HostileProvider
) -> None:
    server.configuration = with_(token_endpoint_auth_methods_supported=["client_secret_post"])
    await signed_in(provider, server)
    sent = parse_qs(server.forms[-1])
    assert (sent["client_id"], sent["client_secret"]) == ([CLIENT], ["secret"])
    assert sent["redirect_uri"] == [CALLBACK]
