"""The refresh token of a browser: in a cookie that no script reads, on a path of its own."""

from typing import Any, Final

from litestar import Request
from litestar.datastructures import Cookie

from domain.identity.session import OriginRefused, Session
from entrypoints.http.origins import origin_allowed, origin_proved

PATH: Final = "/api/v1/auth"

SECURE_NAME: Final = "__Secure-bb_refresh"
"""A browser takes a cookie of that name over TLS alone (RFC 6265bis §4.1.3)."""

PLAIN_NAME: Final = "bb_refresh"
"""On a laptop, where there is no TLS."""


def cookie_with(request: Request[Any, Any, Any], refresh: str, session: Session) -> Cookie:
    """The cookie, until the session's end."""
    lasts = session.expires_at - session.last_used_at
    return _cookie(request, refresh, max(0, int(lasts.total_seconds())))


def cookie_gone(request: Request[Any, Any, Any]) -> Cookie:
    """What makes the browser forget it."""
    return _cookie(request, "", 0)


def refresh_in_cookie(request: Request[Any, Any, Any]) -> str | None:
    """The cookie's token, if there is one and the page that sends it is ours.

    Raises:
        OriginRefused: the page is not ours, or does not say which it is.
    """
    token = request.cookies.get(_name(request))
    if token and not origin_proved(request):
        raise OriginRefused("Send this from a page of ours: its Origin is not allowed.")
    return token or None


def check_origin(request: Request[Any, Any, Any]) -> None:
    """Hold a request that sets the cookie to our pages, if a page sends it.

    Raises:
        OriginRefused: the page is not ours.
    """
    if not origin_allowed(request):
        raise OriginRefused("Send this from a page of ours: its Origin is not allowed.")


def _cookie(request: Request[Any, Any, Any], value: str, max_age: int) -> Cookie:
    return Cookie(
        key=_name(request),
        value=value,
        path=PATH,
        max_age=max_age,
        httponly=True,
        secure=secure(request),
        samesite="strict",
    )


def _name(request: Request[Any, Any, Any]) -> str:
    return SECURE_NAME if secure(request) else PLAIN_NAME


def secure(request: Request[Any, Any, Any]) -> bool:
    """Always, but for plain HTTP on a laptop."""
    local: bool = request.app.state.settings.environment == "local"
    return not (local and request.scope["scheme"] == "http")
