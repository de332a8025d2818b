"""Who may call a route, read off its guards."""

from typing import Any

from litestar.handlers import HTTPRouteHandler

from domain.identity.user import ADMINS_ALONE
from entrypoints.http.access import KEY_HEADER, Requires, admitted, public, signed_in

SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of a person who signed in.",
    },
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": KEY_HEADER,
        "description": "An API key, `bb_live_…` or `bb_test_…`, with the scopes that are listed.",
    },
}


def own_guards(handler: HTTPRouteHandler) -> list[Any]:
    """The route's guards, without the application's, which stands before every route."""
    # Litestar wraps a guard that is not a coroutine function.
    guards = [getattr(guard, "func", guard) for guard in handler.resolve_guards()]
    return [guard for guard in guards if guard is not admitted]


def security(handler: HTTPRouteHandler) -> list[dict[str, list[str]]]:
    """The security requirements: none, a person's token alone, or that or a key with its scopes.

    Scopes stand with the token too: a person's role must hold the same permissions.
    """
    guards = own_guards(handler)
    if all(guard is public for guard in guards):
        return []
    required = [guard for guard in guards if isinstance(guard, Requires)]
    permissions = [permission for guard in required for permission in guard.permissions]
    persons_only = (
        not required
        or signed_in in guards
        or any(guard.afresh for guard in required)
        or not ADMINS_ALONE.isdisjoint(permissions)
    )
    needed = [permission.value for permission in permissions]
    with_token = {"bearer": needed}
    return [with_token] if persons_only else [with_token, {"api_key": needed}]


def unknown_guards(handler: HTTPRouteHandler) -> list[Any]:
    """The guards that :func:`security` cannot read."""
    return [
        guard
        for guard in own_guards(handler)
        if guard not in (public, signed_in) and not isinstance(guard, Requires)
    ]
