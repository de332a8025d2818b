"""What a browser keeps while it is signing in: secrets of minutes that no script reads."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from litestar import Request
from litestar.datastructures import Cookie

from domain.identity.session import OriginRefused
from entrypoints.http.origins import origin_proved
from entrypoints.http.refresh_cookie import PATH, secure


@dataclass(frozen=True, slots=True)
class SignInCookie:
    """A cookie of the sign-in routes, by its name over plain HTTP and its life in seconds."""

    name: str
    seconds: int
    same_site: Literal["lax", "strict"] = "strict"

    def set(self, request: Request[Any, Any, Any], value: str) -> Cookie:
        """The cookie with a value."""
        return self._cookie(request, value, self.seconds)

    def gone(self, request: Request[Any, Any, Any]) -> Cookie:
        """What makes the browser forget it."""
        return self._cookie(request, "", 0)

    def value(self, request: Request[Any, Any, Any]) -> str:
        """What the browser sent, or the empty string."""
        return request.cookies.get(self._name(request), "")

    def value_of_our_page(self, request: Request[Any, Any, Any]) -> str:
        """The same, for what a page does.

        Raises:
            OriginRefused: there is one, and the page is not ours or does not say which it is.
        """
        value = self.value(request)
        if value and not origin_proved(request):
            raise OriginRefused("Send this from a page of ours: its Origin is not allowed.")
        return value

    def _cookie(self, request: Request[Any, Any, Any], value: str, seconds: int) -> Cookie:
        return Cookie(
            key=self._name(request),
            value=value,
            path=PATH,
            max_age=seconds,
            httponly=True,
            secure=secure(request),
            samesite=self.same_site,
        )

    def _name(self, request: Request[Any, Any, Any]) -> str:
        return f"__Secure-{self.name}" if secure(request) else self.name


BINDING: Final = SignInCookie("bb_sign_in", 600, "lax")
"""Binds a sign-in elsewhere to the browser that began it. The way back is begun by another
site's page, and so no strict cookie comes with it."""

CHALLENGE: Final = SignInCookie("bb_challenge", 300)
"""A sign-in that waits for its second factor, where no page could be handed it."""

LINK: Final = SignInCookie("bb_link", 600)
"""An identity that waits for the proof of an account."""
