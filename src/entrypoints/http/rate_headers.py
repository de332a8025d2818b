"""Every answer tells its caller where they stand: the RateLimit fields.

The fields are those of the IETF's draft-ietf-httpapi-ratelimit-headers-10: structured fields
(RFC 9651) with one item a policy.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

from litestar.enums import ScopeType
from litestar.types import ASGIApp, LifeSpanScope, Message, Receive, Scope, Send

from domain.keys.rate_limit import Standing
from entrypoints.http.access import counted, known_admission

_RETRY_AFTER: Final = b"retry-after"


class RateHeaders:
    """Sets the fields on answers, errors among them.

    It stands around the whole application, because Litestar's guards do not see a request
    that matches no route: such a one is counted here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope | LifeSpanScope, receive: Receive, send: Send) -> None:
        """Serve one request, socket or lifespan."""
        if scope["type"] != ScopeType.HTTP:
            # Litestar takes the lifespan's scope too; its type for applications leaves it out.
            await self._app(cast(Scope, scope), receive, send)
            return
        request = cast(Scope, scope)

        async def send_with_fields(message: Message) -> None:
            if message["type"] == "http.response.start":
                admission = known_admission(request) or await counted(request)
                message["headers"] = _with_fields(message["headers"], admission.verdict.standings)
            await send(message)

        await self._app(request, receive, send_with_fields)


def _with_fields(headers: Any, standings: Sequence[Standing]) -> list[tuple[bytes, bytes]]:
    fields = [*headers, (b"ratelimit-policy", policy_field(standings).encode())]
    fields.append((b"ratelimit", limit_field(standings).encode()))
    wait = max((each.retry_seconds for each in standings), default=0)
    if wait:
        # An answer's own time to come back is kept where it is later.
        own = [int(value) for name, value in fields if name == _RETRY_AFTER]
        fields = [field for field in fields if field[0] != _RETRY_AFTER]
        fields.append((_RETRY_AFTER, str(max([wait, *own])).encode()))
    return fields


def policy_field(standings: Sequence[Standing]) -> str:
    """``RateLimit-Policy``: each policy's name, quota and window in seconds."""
    return ", ".join(
        f'"{each.policy.name}";q={each.policy.quota};w={each.policy.window_seconds}'
        for each in standings
    )


def limit_field(standings: Sequence[Standing]) -> str:
    """``RateLimit``: what is left under each policy, and the seconds until all of it is back."""
    return ", ".join(
        f'"{each.policy.name}";r={each.remaining};t={each.reset_seconds}' for each in standings
    )
