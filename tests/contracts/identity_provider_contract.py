"""What every ``IdentityProvider`` keeps."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest

from application.ports.identity_provider import (
    AuthorizationRequest,
    CodeGrant,
    IdentityProvider,
)
from domain.identity.linked_identity import IdentityRejected, ProviderRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What the browser comes back with."""

    state: str
    code: str
    issuer: str | None = None


SignInThere = Callable[[str, str], Awaitable[Returned]]
"""Signs in at the provider: from the address one is sent to, as a named person."""


def make_request() -> AuthorizationRequest:
    """A sign-in of its own."""
    return AuthorizationRequest(
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
    )


def grant_of(request: AuthorizationRequest, returned: Returned, **changes: str) -> CodeGrant:
    """What is to be exchanged, as it should be but for the changes."""
    values = {"code": returned.code, "nonce": request.nonce, "verifier": request.verifier}
    return CodeGrant(**values | changes, issuer=returned.issuer)


class IdentityProviderContract:
    """Subclasses provide ``provider`` and ``sign_in_there``."""

    async def test_it_says_who_signed_in(
        self, provider: IdentityProvider, sign_in_there: SignInThere
    ) -> None:
        request = make_request()
        returned = await sign_in_there(await provider.authorization_url(request), "asha")
        assert returned.state == request.state
        identity = await provider.identity(grant_of(request, returned))
        assert (identity.provider, identity.email) == (provider.name, "asha@example.com")
        assert identity.email_verified
        assert identity.subject
        assert identity.name

    async def test_the_subject_stays_and_is_nobody_elses(
        self, provider: IdentityProvider, sign_in_there: SignInThere
    ) -> None:
        subjects = []
        for person in ("asha", "asha", "ravi"):
            request = make_request()
            returned = await sign_in_there(await provider.authorization_url(request), person)
            subjects.append((await provider.identity(grant_of(request, returned))).subject)
        assert subjects[0] == subjects[1] != subjects[2]

    async def test_it_says_whether_the_email_is_verified(
        self, provider: IdentityProvider, sign_in_there: SignInThere
    ) -> None:
        request = make_request()
        returned = await sign_in_there(await provider.authorization_url(request), "unverified")
        identity = await provider.identity(grant_of(request, returned))
        assert (identity.email, identity.email_verified) == ("unverified@example.com", False)

    async def test_a_code_is_good_once(
        self, provider: IdentityProvider, sign_in_there: SignInThere
    ) -> None:
        request = make_request()
        returned = await sign_in_there(await provider.authorization_url(request), "asha")
        await provider.identity(grant_of(request, returned))
        with pytest.raises(ProviderRefused):
            await provider.identity(grant_of(request, returned))

    async def test_a_code_is_good_with_its_verifier_alone(
        self, provider: IdentityProvider, sign_in_there: SignInThere
    ) -> None:
        request = make_request()
        returned = await sign_in_there(await provider.authorization_url(request), "asha")
        with pytest.raises(ProviderRefused):
            await provider.identity(grant_of(request, returned, verifier=secrets.token_urlsafe(48)))

    async def test_a_code_that_was_made_up_is_refused(
        self, provider: IdentityProvider, sign_in_there: SignInThere
    ) -> None:
        request = make_request()
        returned = await sign_in_there(await provider.authorization_url(request), "asha")
        for code in ("made-up", "\x00", "💥"):
            with pytest.raises(ProviderRefused):
                await provider.identity(grant_of(request, returned, code=code))

    async def test_another_sign_ins_answer_is_rejected(
        self, provider: IdentityProvider, sign_in_there: SignInThere
    ) -> None:
        request = make_request()
        returned = await sign_in_there(await provider.authorization_url(request), "asha")
        with pytest.raises(IdentityRejected):
            await provider.identity(grant_of(request, returned, nonce=make_request().nonce))

    async def test_where_one_is_sent_asks_for_a_code_bound_to_this_sign_in(
        self, provider: IdentityProvider
    ) -> None:
        request = make_request()
        asked = parse_qs(urlsplit(await provider.authorization_url(request)).query)
        assert asked["response_type"] == ["code"]
        assert asked["state"] == [request.state]
        assert asked["nonce"] == [request.nonce]
        assert asked["code_challenge_method"] == ["S256"]
        assert request.verifier not in str(asked)
