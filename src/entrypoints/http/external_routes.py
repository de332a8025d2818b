"""Signing in with other providers, and the identities that open an account."""

from typing import Annotated, Any

from litestar import Controller, Request, Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Redirect
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT, HTTP_302_FOUND

from application.identity.external_sign_in import (
    Arrival,
    ArriveFromProvider,
    DepartToProvider,
    Finished,
    IdentityProviders,
    Linked,
    LinkNeeded,
    Trouble,
)
from application.identity.link_identities import (
    ConfirmLink,
    DepartToLink,
    ListIdentities,
    UnlinkIdentity,
)
from application.identity.open_session import SignedIn
from application.identity.pass_first_factor import SecondFactorNeeded
from application.ports.security import Principal
from domain.audit.origin import Origin
from domain.identity.return_address import with_mark
from entrypoints.http.access import COST, OF_OUR_PAGES, device_of, public, signed_in
from entrypoints.http.external_schemas import (
    ConfirmLinkRequest,
    DepartureView,
    IdentitiesView,
    IdentityView,
    LinkRequest,
    ProvidersView,
)
from entrypoints.http.refresh_cookie import check_origin, cookie_with
from entrypoints.http.routing import get, post
from entrypoints.http.second_factor_schemas import ProofRequest
from entrypoints.http.session_routes import tokens_of
from entrypoints.http.session_schemas import TokenView
from entrypoints.http.sign_in_cookies import BINDING, CHALLENGE, LINK


class ExternalSignInController(Controller):
    """Other ways in."""

    path = "/auth"
    tags = ("Identity",)

    @get("/providers", guards=[public], summary="List providers")
    async def providers(
        self, identity_providers: NamedDependency[IdentityProviders]
    ) -> ProvidersView:
        """Whom else one can sign in with here."""
        return ProvidersView(sorted(name.value for name in identity_providers.by_name))

    @get(
        "/{provider_name:str}/start",
        guards=[public],
        opt={COST: 3},
        status_code=HTTP_302_FOUND,
        summary="Sign in with a provider",
    )
    async def depart(
        self,
        provider_name: FromPath[str],
        request: Request[Any, Any, Any],
        depart_to_provider: NamedDependency[DepartToProvider],
        return_to: Annotated[
            str, QueryParameter(description="A path, or an address of an allowed origin.")
        ] = "/",
    ) -> Redirect:
        """Send the browser to the provider, to come back to ``return_to``.

        There it finds ``sign_in`` in the query: ``done``, ``second_factor`` or
        ``link_required``; or ``sign_in_error``, which says why not.
        """
        departure = await depart_to_provider(provider_name, return_to)
        return Redirect(departure.url, cookies=[BINDING.set(request, departure.binding)])

    @get(
        "/{provider_name:str}/callback",
        guards=[public],
        opt={COST: 3},
        status_code=HTTP_302_FOUND,
        summary="Come back from a provider",
    )
    async def arrive(
        self,
        provider_name: FromPath[str],
        request: Request[Any, Any, Any],
        origin: NamedDependency[Origin],
        identity_providers: NamedDependency[IdentityProviders],
        arrive_from_provider: NamedDependency[ArriveFromProvider],
        issuer: Annotated[str | None, QueryParameter(name="iss")] = None,
        given_state: Annotated[str, QueryParameter(name="state")] = "",
        code: FromQuery[str | None] = None,
        error: FromQuery[str | None] = None,
    ) -> Redirect:
        """Finish signing in: for browsers that the provider sends back, and nobody else.

        No token is in the address that follows: a session's is in its cookie.
        """
        arrival = Arrival(
            provider=identity_providers.named(provider_name).name,
            state=given_state,
            code=code,
            error=error,
            issuer=issuer,
            binding=BINDING.value(request),
        )
        finished = await arrive_from_provider(arrival, device_of(request), origin)
        mark, cookies = _told(request, finished)
        origins: tuple[str, ...] = request.app.state.settings.origins
        home = f"{origins[0]}/" if origins else "/"
        return Redirect(
            with_mark(finished.return_to or home, *mark),
            cookies=[BINDING.gone(request), *cookies],
        )

    @post(
        "/link",
        guards=[public],
        opt={COST: 3, OF_OUR_PAGES: True},
        status_code=HTTP_200_OK,
        summary="Link an identity to an account of its email",
    )
    async def confirm_link(
        self,
        data: JSONBody[ConfirmLinkRequest],
        request: Request[Any, Any, Any],
        origin: NamedDependency[Origin],
        confirm_link: NamedDependency[ConfirmLink],
    ) -> Response[TokenView]:
        """Prove the account whose email it has, and be signed in there.

        What waits to be linked is in a cookie, for ten minutes, after ``sign_in=link_required``.
        """
        check_origin(request)
        token = LINK.value_of_our_page(request)
        opened = await confirm_link(token, data.proof(), device_of(request), origin)
        answer = tokens_of(request, opened, in_body=data.refresh_in == "body")
        answer.set_cookie(LINK.gone(request))
        return answer

    @get("/identities", guards=[signed_in], summary="List identities")
    async def identities(
        self,
        principal: NamedDependency[Principal],
        list_identities: NamedDependency[ListIdentities],
    ) -> IdentitiesView:
        """What opens one's account besides a password."""
        found = await list_identities(principal.user_id)
        return IdentitiesView([IdentityView.of(identity) for identity in found])

    @post(
        "/identities/{provider_name:str}/link",
        guards=[signed_in],
        opt={COST: 3},
        status_code=HTTP_200_OK,
        summary="Link an identity",
    )
    async def depart_to_link(
        self,
        provider_name: FromPath[str],
        data: JSONBody[LinkRequest],
        request: Request[Any, Any, Any],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        depart_to_link: NamedDependency[DepartToLink],
    ) -> Response[DepartureView]:
        """Say where to send the browser, so that who one is there opens this account.

        It comes back with ``sign_in=linked`` in the query, or with ``sign_in_error``.
        """
        departure = await depart_to_link(
            principal, provider_name, data.return_to, data.proof(), origin
        )
        return Response(
            DepartureView(departure.url), cookies=[BINDING.set(request, departure.binding)]
        )

    @post(
        "/identities/{provider_name:str}/unlink",
        guards=[signed_in],
        opt={COST: 3},
        status_code=HTTP_204_NO_CONTENT,
        summary="Unlink an identity",
    )
    async def unlink(
        self,
        provider_name: FromPath[str],
        data: JSONBody[ProofRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        unlink_identity: NamedDependency[UnlinkIdentity],
    ) -> None:
        """Unlink it, unless it is the last way into the account."""
        await unlink_identity(principal, provider_name, data.proof(), origin)


def _told(
    request: Request[Any, Any, Any], finished: Finished
) -> tuple[tuple[str, str], list[Cookie]]:
    """What the page is told in its address, and what the browser is given besides."""
    match finished.outcome:
        case SignedIn() as opened:
            return ("sign_in", "done"), [cookie_with(request, opened.refresh, opened.session)]
        case SecondFactorNeeded() as needed:
            return ("sign_in", "second_factor"), [CHALLENGE.set(request, needed.challenge)]
        case LinkNeeded() as needed:
            return ("sign_in", "link_required"), [LINK.set(request, needed.token)]
        case Linked():
            return ("sign_in", "linked"), []
        case Trouble() as trouble:
            return ("sign_in_error", trouble.value), []
