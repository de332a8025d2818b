"""The real application without key, limit and usage: what a read costs before any of them.

Whatever comes is taken for the person that ``UNMETERED_USER`` names, is not counted, and leaves no
usage row, because no key came with it. All else is as it is served: routes, guards, the read under
row-level security, log, metrics and headers.
"""

import os
from typing import Any
from uuid import UUID

from dependency_injector import providers

from adapters.observability.request_log import request_log
from application.keys.admit_request import Admission, Presented
from application.ports.rate_limiter import Verdict
from application.ports.security import Principal
from domain.identity.user import Role
from domain.shared.ids import UserId
from entrypoints.http.app import create_app
from entrypoints.http.rate_headers import RateHeaders
from entrypoints.http.request_context import RequestContext
from entrypoints.settings import load


class Unmetered:
    """In the place of what admits requests."""

    def __init__(self, user_id: UserId) -> None:
        principal = Principal(user_id=user_id, role=Role.PARTNER)
        self.admission = Admission(
            verdict=Verdict(admitted=True, standings=()), principal=principal
        )

    async def __call__(self, presented: Presented, cost: int = 1) -> Admission:
        """Admit it."""
        return self.admission

    async def to_operations(self, address: str) -> Admission:
        """Admit it as well."""
        return self.admission


def app() -> Any:
    """The application, for granian."""
    settings = load(os.environ)
    real = create_app(settings)
    lines = request_log(settings.log_level, machine=True)
    served = RequestContext(RateHeaders(real), lines)
    unmetered = providers.Object(Unmetered(UserId(UUID(os.environ["UNMETERED_USER"]))))

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def send_when_replaced(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                real.state.container.admit_request.override(unmetered)
            await send(message)

        lifespan = scope["type"] == "lifespan"
        await served(scope, receive, send_when_replaced if lifespan else send)

    return wrapped
