"""Who calls, and whether they may: every route names one of these guards."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from application.ports.security import AccessTokens, Principal
from domain.identity.user import PERMISSIONS, NotAuthenticated, Permission, PermissionDenied

_KEY = "bharatbuild_principal"


def public(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Anybody may call this."""


def signed_in(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Any signed-in person may call this.

    Raises:
        NotAuthenticated: no valid access token came with the request.
    """
    _authenticate(connection)


def requires(permission: Permission) -> Guard:
    """A guard that lets in whose role holds ``permission``."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        principal = _authenticate(connection)
        if permission not in PERMISSIONS[principal.role]:
            raise PermissionDenied(
                f"Your role {principal.role} lacks {permission}.", permission=permission.value
            )

    return guard


def provide_principal(request: Request[Any, Any, Any]) -> Principal:
    """The caller, as the route's guard found them."""
    principal = request.scope["state"].get(_KEY)
    if not isinstance(principal, Principal):
        raise NotAuthenticated("Send an access token as 'Authorization: Bearer …'.")
    return principal


def _authenticate(connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("Send an access token as 'Authorization: Bearer …'.")
    tokens: AccessTokens = connection.app.state.container.tokens()
    principal = tokens.verify(token.strip())
    connection.scope["state"][_KEY] = principal
    return principal
