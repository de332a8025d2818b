"""Deliver what is due, to many endpoints at once, so that none waits for another.

A hint names an endpoint. Its deliveries are taken one by one in a few lanes, which end when
nothing is due any more; the database bounds how many attempts are under way to one endpoint
over all workers, and this how many are under way here. Endpoints that are known to fail share
a part of the places, so that they cannot take those of the others.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import structlog

from application.ports.persistence import DatabaseUnavailable
from application.ports.webhooks import DeliveryClaim, WebhookClaims
from domain.shared.ids import WebhookEndpointId

log = structlog.get_logger(__name__)

LEASE_SECONDS = 60.0
"""How long a claim holds: well above the longest request and two commits."""

LANES = 4
"""Attempts to one endpoint at once, over all workers; one while it fails."""

PLACES = 32
"""Attempts of a worker at once."""

PATIENT_PLACES = 8
"""Of these, how many endpoints that fail may have."""

CLOSE_SECONDS = 5.0


class DeliverWebhooks:
    """Takes hints and delivers, until it is closed."""

    def __init__(
        self,
        claims: WebhookClaims,
        attempt: Callable[[DeliveryClaim], Awaitable[None]],
        *,
        lease_seconds: float = LEASE_SECONDS,
        lanes: int = LANES,
        places: int = PLACES,
        patient_places: int = PATIENT_PLACES,
    ) -> None:
        self._claims = claims
        self._attempt = attempt
        self._lease_seconds = lease_seconds
        self._most_lanes = lanes
        self._prompt = asyncio.Semaphore(places - patient_places)
        self._patient = asyncio.Semaphore(patient_places)
        self._lanes: dict[WebhookEndpointId, set[asyncio.Task[None]]] = {}
        self._troubled: set[WebhookEndpointId] = set()
        self._closing = False

    def hint(self, endpoint_id: WebhookEndpointId) -> None:
        """Something is due to the endpoint. Returns at once; one at work anyway is left alone."""
        if not self._closing and not self._lanes.get(endpoint_id):
            self._open_lane(endpoint_id)

    async def idle(self) -> None:
        """Wait until nothing is being delivered here."""
        while self._lanes:
            await asyncio.wait([task for lanes in self._lanes.values() for task in lanes])
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Begin nothing more, and give what is under way a moment to end.

        What does not is sent again when its lease runs out.
        """
        self._closing = True
        tasks = [task for lanes in self._lanes.values() for task in lanes]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _open_lane(self, endpoint_id: WebhookEndpointId) -> None:
        lanes = self._lanes.setdefault(endpoint_id, set())
        if len(lanes) >= self._most_lanes:
            return
        lane = asyncio.get_running_loop().create_task(self._lane(endpoint_id))
        lanes.add(lane)
        lane.add_done_callback(lambda ended: self._left(endpoint_id, ended))

    def _left(self, endpoint_id: WebhookEndpointId, lane: asyncio.Task[None]) -> None:
        lanes = self._lanes[endpoint_id]
        lanes.discard(lane)
        if not lanes:
            del self._lanes[endpoint_id]
            self._troubled.discard(endpoint_id)

    async def _lane(self, endpoint_id: WebhookEndpointId) -> None:
        try:
            while not self._closing and await self._next(endpoint_id):
                pass
        except DatabaseUnavailable as reason:
            log.warning("webhooks wait for the database", reason=str(reason))
        except Exception:  # the lease brings it back, and each claim counts as an attempt
            log.exception("webhook attempt broke", endpoint_id=str(endpoint_id))

    async def _next(self, endpoint_id: WebhookEndpointId) -> bool:
        """Deliver what is due next, in a place of its own; False when nothing is."""
        async with self._place(endpoint_id):
            if self._closing:
                return False
            claim = await self._claims.claim(
                endpoint_id, self._lease_seconds, at_once=self._most_lanes
            )
            if claim is None:
                return False
            if claim.troubled and endpoint_id not in self._troubled:
                # To be sent from a place for those that fail: the next turn has one.
                self._troubled.add(endpoint_id)
                await self._claims.hand_back(claim)
                return True
            if not claim.troubled:
                self._troubled.discard(endpoint_id)
                self._open_lane(endpoint_id)
            await self._attempt(claim)
            return True

    def _place(self, endpoint_id: WebhookEndpointId) -> AbstractAsyncContextManager[None]:
        return self._patient if endpoint_id in self._troubled else self._prompt
