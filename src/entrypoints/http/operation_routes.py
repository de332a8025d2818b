"""Health and metrics: for load balancers, orchestrators, Prometheus and people."""

from litestar import Controller, Response
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from application.operations.check_health import CheckHealth
from entrypoints.http.access import OPERATIONS, public
from entrypoints.http.routing import get
from entrypoints.http.schemas import LivenessView, ProbeView, ReadinessView
from entrypoints.version import VERSION


class HealthController(Controller):
    """Health."""

    path = "/health"
    tags = ("Operations",)

    @get("/live", guards=[public], opt={OPERATIONS: True}, summary="Is the process alive")
    async def live(self) -> LivenessView:
        """Answers as long as the process does."""
        return LivenessView("ok", VERSION)

    @get("/ready", guards=[public], opt={OPERATIONS: True}, summary="Can the platform do its work")
    async def ready(self, check_health: NamedDependency[CheckHealth]) -> Response[ReadinessView]:
        """Every dependency with its latency; 503 when one that is required is away."""
        ready, results = await check_health()
        return Response(
            ReadinessView(
                "ready" if ready else "not ready",
                {result.name: ProbeView.of(result) for result in results},
            ),
            status_code=200 if ready else 503,
            headers={"Cache-Control": "no-store"},
        )


@get(
    "/metrics",
    guards=[public],
    opt={OPERATIONS: True},
    include_in_schema=False,
    sync_to_thread=False,
)
def metrics() -> Response[bytes]:
    """This process's figures in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
