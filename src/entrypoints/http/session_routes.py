"""Signing in and out, going on, and where one is signed in."""

from typing import Any, cast
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from adapters.security import SignedAccessTokens
from application.identity.end_sessions import (
    ListSessions,
    RevokeSession,
    SignOut,
    SignOutEverywhere,
)
from application.identity.open_session import SignedIn
from application.identity.pass_first_factor import SecondFactorNeeded
from application.identity.refresh_session import RefreshSession
from application.identity.sign_in import Credentials, SignIn
from application.ports.security import Principal
from domain.audit.origin import Origin
from domain.identity.session import RefreshRefused
from domain.shared.ids import SessionId
from entrypoints.http.access import (
    ANSWERS,
    COST,
    OF_OUR_PAGES,
    caller_of,
    device_of,
    public,
    signed_in,
)
from entrypoints.http.refresh_cookie import (
    check_origin,
    cookie_gone,
    cookie_with,
    refresh_in_cookie,
)
from entrypoints.http.routing import delete, get, post
from entrypoints.http.second_factor_schemas import ChallengeView
from entrypoints.http.session_schemas import (
    EndedView,
    LoginRequest,
    RefreshRequest,
    SessionsView,
    SessionView,
    TokenView,
)


class SessionController(Controller):
    """Sessions."""

    path = "/auth"
    tags = ("Identity",)

    @post(
        "/login",
        guards=[public],
        opt={COST: 3, OF_OUR_PAGES: True},
        status_code=HTTP_200_OK,
        summary="Sign in",
        responses={
            HTTP_202_ACCEPTED: ResponseSpec(
                ChallengeView, description="A second factor is asked for"
            )
        },
    )
    async def login(
        self,
        data: JSONBody[LoginRequest],
        request: Request[Any, Any, Any],
        origin: NamedDependency[Origin],
        sign_in: NamedDependency[SignIn],
    ) -> Response[TokenView]:
        """Open a session for an email and its password.

        The refresh token comes as a cookie, or in the body with ``refresh_in: "body"``. Where the
        account has a second factor, the answer is 202 with a challenge, and no session yet.
        """
        check_origin(request)
        opened = await sign_in(
            Credentials(email=data.email, password=data.password, origin=origin), device_of(request)
        )
        if isinstance(opened, SecondFactorNeeded):
            # The schema has it beside the other answer, under its status.
            waiting = Response(ChallengeView.of(opened), status_code=HTTP_202_ACCEPTED)
            return cast(Response[TokenView], waiting)
        return tokens_of(request, opened, in_body=data.refresh_in == "body")

    @post(
        "/refresh",
        guards=[public],
        opt={COST: 2, OF_OUR_PAGES: True},
        status_code=HTTP_200_OK,
        summary="Refresh a session",
    )
    async def refresh(
        self,
        request: Request[Any, Any, Any],
        origin: NamedDependency[Origin],
        refresh_session: NamedDependency[RefreshSession],
        data: JSONBody[RefreshRequest | None] = None,
    ) -> Response[TokenView]:
        """Give the session's next access token and refresh token.

        The refresh token that is sent is used up; one that is sent again ends the session, but
        for a few seconds in which a lost answer may be asked for again.
        """
        token = data.refresh_token if data is not None else refresh_in_cookie(request)
        if token is None:
            raise RefreshRefused("There is no refresh token. Sign in.")
        going_on = await refresh_session(token, device_of(request), origin)
        return tokens_of(request, going_on, in_body=data is not None)

    @post(
        "/logout",
        guards=[public],
        opt={OF_OUR_PAGES: True},
        status_code=HTTP_200_OK,
        summary="Sign out",
    )
    async def logout(
        self,
        request: Request[Any, Any, Any],
        origin: NamedDependency[Origin],
        sign_out: NamedDependency[SignOut],
        data: JSONBody[RefreshRequest | None] = None,
    ) -> Response[EndedView]:
        """End the session of the access token, of the cookie, or of the refresh token sent."""
        token = data.refresh_token if data is not None else refresh_in_cookie(request)
        ended = await sign_out(caller_of(request), token, origin)
        return Response(EndedView(ended), cookies=[cookie_gone(request)])

    @post(
        "/logout-everywhere",
        guards=[signed_in],
        status_code=HTTP_200_OK,
        summary="Sign out everywhere",
    )
    async def logout_everywhere(
        self,
        request: Request[Any, Any, Any],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        sign_out_everywhere: NamedDependency[SignOutEverywhere],
    ) -> Response[EndedView]:
        """End every session, this one too."""
        ended = await sign_out_everywhere(principal.user_id, origin)
        return Response(EndedView(ended), cookies=[cookie_gone(request)])

    @get("/sessions", guards=[signed_in], summary="List sessions")
    async def sessions(
        self,
        principal: NamedDependency[Principal],
        list_sessions: NamedDependency[ListSessions],
    ) -> SessionsView:
        """Where the signed-in person is signed in."""
        current = principal.session.id if principal.session else None
        found = await list_sessions(principal.user_id)
        return SessionsView([SessionView.of(session, current) for session in found])

    @delete("/sessions/{session_id:str}", guards=[signed_in], summary="End a session")
    async def end_session(
        self,
        session_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        revoke_session: NamedDependency[RevokeSession],
    ) -> None:
        """End one of one's sessions, on whatever device."""
        await revoke_session(principal.user_id, SessionId(session_id), origin)


@get(
    "/.well-known/jwks.json",
    guards=[public],
    opt={ANSWERS: ("application/jwk-set+json",)},
    tags=["Identity"],
    summary="Show signing keys",
)
async def jwks(tokens: NamedDependency[SignedAccessTokens]) -> Response[bytes]:
    """The public keys of access tokens, as a JSON Web Key Set (RFC 7517)."""
    return Response(
        msgspec.json.encode({"keys": tokens.public_keys()}),
        media_type="application/jwk-set+json",
        headers={"Cache-Control": "public, max-age=300"},
    )


def tokens_of(
    request: Request[Any, Any, Any], opened: SignedIn, *, in_body: bool
) -> Response[TokenView]:
    """The answer with a session's tokens, the refresh token where it is wanted."""
    cookies = [] if in_body else [cookie_with(request, opened.refresh, opened.session)]
    return Response(TokenView.of(opened, in_body=in_body), cookies=cookies)
