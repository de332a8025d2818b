"""The row of the usage log that a request with a key leaves."""

from datetime import UTC, datetime
from typing import Any, Final

from litestar import Request
from litestar.types import Scope

from application.keys.log_usage import LogUsage
from domain.keys.usage_log import MAX_LATENCY_US, LoggedRequest
from domain.shared.ids import RunId
from entrypoints.http.access import known_admission

_RUN: Final = "bharatbuild_run"


def note_run(request: Request[Any, Any, Any], run_id: RunId) -> None:
    """Say which run a request has started. A repeat of the request has started none."""
    request.scope["state"][_RUN] = run_id


def log_keyed_request(scope: Scope, status: int, seconds: float) -> None:
    """Log an answered request, if a key was found to be good that came with it.

    Refusals are among them: for their rate, their scope, or what they ask for.
    """
    admission = known_admission(scope)
    if admission is None or admission.principal is None or admission.principal.key is None:
        return
    container = scope["litestar_app"].state.container
    log_usage: LogUsage = container.log_usage()
    principal, key = admission.principal, admission.principal.key
    state = scope["state"]
    log_usage.note(
        LoggedRequest(
            id=container.ids().new(),
            user_id=principal.user_id,
            key_id=key.id,
            at=datetime.fromtimestamp(state["began_at"], UTC),
            route=f"{scope.get('method', 'WEBSOCKET')} {scope['path_template']}",
            status=status,
            latency_us=min(int(seconds * 1_000_000), MAX_LATENCY_US),
            request_id=state["request_id"],
            run_id=state.get(_RUN),
        )
    )
