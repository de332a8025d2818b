"""Who calls, whether they may, and whether not too often: every route names a guard.

The application's own guard, :func:`admitted`, stands before each route's: it finds out who
calls and counts the request. The route's guard then says who may call it.
"""

from dataclasses import dataclass
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.types import Scope

from application.identity.reauthenticate import ProofTooOld, proved_lately
from application.keys.admit_request import Admission, AdmitRequest, Presented
from application.ports.security import Principal
from domain.audit.origin import ActorKind, Origin
from domain.identity.second_factor import SecondFactorRequired
from domain.identity.session import Device, clean_agent
from domain.identity.user import NotAuthenticated, Permission, PermissionDenied
from domain.keys.scopes import InsufficientScope
from entrypoints.http.bodies import check_query
from entrypoints.http.client_address import client_address

KEY_HEADER: Final = "X-API-Key"

COST: Final = "cost"
"""A route's option: how many requests a call of it counts as."""

ANSWERS: Final = "answers"
"""A route's option: the media types of what it answers, where the caller chooses one."""

OPERATIONS: Final = "operations"
"""A route's option: it is for machines that watch over this process."""

GATEWAY: Final = "gateway"
"""A route's option: it is for the payment gateway, whose events are not to be lost."""

OF_OUR_PAGES: Final = "of_our_pages"
"""A route's option: it sets or takes the refresh cookie, so pages of others may not call it."""

_ADMISSION: Final = "bharatbuild_admission"


async def admitted(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Find out who calls, and count the call.

    Raises:
        RateLimited: it is one too many.
        InvalidValue: a parameter of the query has a NUL.
        DatabaseUnavailable: a key had to be looked up and could not be.
    """
    admission = await admission_of(connection.scope, handler.opt)
    # A socket cannot be told before it is open.
    if admission.limited is not None and connection.scope["type"] == ScopeType.HTTP:
        raise admission.limited
    check_query(connection.scope["query_string"])


async def admission_of(scope: Scope, options: dict[str, Any]) -> Admission:
    """What came of the request's credentials and of counting it; counted once a request.

    Raises:
        DatabaseUnavailable: a key had to be looked up and could not be.
    """
    known = known_admission(scope)
    if known is not None:
        return known
    admit, address = _counter(scope)
    if options.get(OPERATIONS):
        admission = await admit.to_operations(address)
    elif options.get(GATEWAY):
        admission = await admit.from_gateway(address)
    else:
        admission = await admit(_presented(scope, address), cost=options.get(COST, 1))
    scope["state"][_ADMISSION] = admission
    return admission


async def counted(scope: Scope) -> Admission:
    """What came of counting a request: by its address, where it met no guard or none got through.

    No route was found for it, it asks what a page may do, or its key could not be looked up.
    """
    known = known_admission(scope)
    if known is not None:
        return known
    admit, address = _counter(scope)
    return await admit(Presented(address=address))


def known_admission(scope: Scope) -> Admission | None:
    """What came of the request's credentials, if that is known by now."""
    admission = scope["state"].get(_ADMISSION)
    return admission if isinstance(admission, Admission) else None


async def public(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Anybody may call this."""


async def signed_in(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Any signed-in person may call this, and no key.

    Raises:
        NotAuthenticated: nothing that proves who calls came with the request.
        InsufficientScope: an API key did, and this is for persons.
    """
    if _authenticated(connection).key is not None:
        raise InsufficientScope("No API key is for this. Sign in, and send an access token.")


@dataclass(frozen=True, slots=True)
class Requires:
    """A guard that lets in whose role, and whose key if it is one, has the permissions."""

    permissions: tuple[Permission, ...]
    afresh: bool = False
    """Whether who calls must have proved within ten minutes who they are."""

    async def __call__(
        self, connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler
    ) -> None:
        """Let the caller in.

        Raises:
            NotAuthenticated: nothing that proves who calls came with the request.
            PermissionDenied: the person's role lacks a permission.
            SecondFactorRequired: it does not, but needs a second factor.
            InsufficientScope: the API key does.
            ProofTooOld: it was proved too long ago who calls.
        """
        principal = _authenticated(connection)
        self._check_permissions(principal)
        if self.afresh:
            now = connection.app.state.container.clock().now()
            if not proved_lately(principal.session, now):
                raise ProofTooOld

    def _check_permissions(self, principal: Principal) -> None:
        for permission in self.permissions:
            if permission in principal.permissions:
                continue
            if principal.key is not None:
                raise InsufficientScope(
                    f"This API key lacks the scope {permission}.", permission=permission.value
                )
            if principal.restricted:
                raise SecondFactorRequired(
                    f"Your role {principal.role} needs a second factor. Set one up, or prove it."
                )
            raise PermissionDenied(
                f"Your role {principal.role} lacks {permission}.", permission=permission.value
            )


def requires(*permissions: Permission, afresh: bool = False) -> Requires:
    """A guard that lets in whose role, and whose key if it is one, has the permissions.

    ``afresh``: and who proved lately who they are, which no key can.
    """
    return Requires(permissions, afresh)


def provide_principal(request: Request[Any, Any, Any]) -> Principal:
    """The caller, as the application's guard found them."""
    return _authenticated(request)


def device_of(request: Request[Any, Any, Any]) -> Device:
    """Where a request comes from, as its session is shown."""
    address = client_address(request.scope, request.app.state.settings.proxies)
    return Device(address=address, agent=clean_agent(request.headers.get("user-agent", "")))


def caller_of(request: Request[Any, Any, Any]) -> Principal | None:
    """Who calls a route for everybody, if anybody proved who they are."""
    admission = known_admission(request.scope)
    return None if admission is None else admission.principal


def provide_origin(request: Request[Any, Any, Any]) -> Origin:
    """Who calls and from where, for the audit log; nobody, where nothing proves who it is."""
    scope = request.scope
    admission = known_admission(scope)
    principal = None if admission is None else admission.principal
    address = client_address(scope, scope["litestar_app"].state.settings.proxies)
    request_id = scope["state"].get("request_id", "")
    if principal is None:
        return Origin(kind=ActorKind.NOBODY, address=address, request_id=request_id)
    return Origin(
        kind=ActorKind.PERSON if principal.key is None else ActorKind.KEY,
        person=principal.user_id,
        key=None if principal.key is None else principal.key.id,
        address=address,
        request_id=request_id,
    )


def _counter(scope: Scope) -> tuple[AdmitRequest, str]:
    """What counts requests, and the address this one comes from."""
    state = scope["litestar_app"].state
    admit: AdmitRequest = state.container.admit_request()
    return admit, client_address(scope, state.settings.proxies)


def _presented(scope: Scope, address: str) -> Presented:
    token, key = None, None
    for name, value in scope["headers"]:
        match name:  # in small letters, as ASGI has them
            case b"authorization":
                scheme, _, rest = value.decode("latin-1").partition(" ")
                if scheme.lower() == "bearer" and rest.strip():
                    token = rest.strip()
            case b"x-api-key":
                key = value.decode("latin-1").strip()
    return Presented(address=address, token=token, key=key)


def _authenticated(connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    admission = known_admission(connection.scope)
    if admission is None or admission.principal is None:
        raise (admission and admission.rejected) or NotAuthenticated(
            f"Send an access token as 'Authorization: Bearer …', or an API key as '{KEY_HEADER}'."
        )
    return admission.principal
