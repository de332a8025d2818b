"""Webhook endpoints, their secrets, and what was sent to them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from application.ports.security import Principal
from application.ports.webhooks import DeliveryFilter
from application.webhooks.add_endpoint import AddEndpoint, NewEndpoint
from application.webhooks.delete_endpoint import DeleteEndpoint
from application.webhooks.edit_endpoint import EditEndpoint, EndpointEdit
from application.webhooks.read_deliveries import ListDeliveries, ShowDelivery
from application.webhooks.read_endpoints import ListEndpoints, ShowEndpoint
from application.webhooks.replay_deliveries import ReplayDelivery, ReplayFailed
from application.webhooks.rotate_secret import RotateSecret, SecretRotation
from application.webhooks.send_test import SendTest
from domain.audit.origin import Origin
from domain.identity.user import Permission
from domain.shared.ids import WebhookEndpointId, WebhookEventId
from domain.shared.moments import given_moment
from domain.webhooks.delivery import DeliveryState
from entrypoints.http.access import requires
from entrypoints.http.cursors import DEFAULT_LIMIT, cursor_after, page_from
from entrypoints.http.idempotency import OncePerKey
from entrypoints.http.routing import delete, get, patch, post
from entrypoints.http.webhook_schemas import (
    AddEndpointRequest,
    DeliveryDetailView,
    DeliveryPageView,
    DeliveryView,
    EditEndpointRequest,
    EndpointPageView,
    EndpointSecretView,
    EndpointView,
    ReplayedView,
    ReplayFailedRequest,
    RotateSecretRequest,
)

Cursor = Annotated[str, QueryParameter(description="The next_cursor of the page before.")]
Limit = Annotated[int, QueryParameter(description="Items a page, 1 to 100.")]

_MANAGE = requires(Permission.WEBHOOKS_MANAGE)


class WebhookEndpointController(Controller):
    """Webhook endpoints."""

    path = "/webhook-endpoints"
    tags = ("Webhooks",)

    @post(guards=[_MANAGE], summary="Add a webhook endpoint")
    async def add_endpoint(
        self,
        data: JSONBody[AddEndpointRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        add_endpoint: NamedDependency[AddEndpoint],
        once: NamedDependency[OncePerKey],
    ) -> Response[EndpointSecretView]:
        """What happens from now on is sent there, signed. The secret is shown this once."""
        return await once(
            lambda completion: add_endpoint(
                NewEndpoint(
                    user_id=principal.user_id,
                    origin=origin,
                    url=data.url,
                    events=data.events,
                    description=data.description,
                    once=completion,
                )
            ),
            EndpointSecretView.without_secret,
            first=EndpointSecretView.with_secret,
        )

    @get(guards=[_MANAGE], summary="List webhook endpoints")
    async def endpoints(
        self,
        principal: NamedDependency[Principal],
        list_endpoints: NamedDependency[ListEndpoints],
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> EndpointPageView:
        """Newest first."""
        found = await list_endpoints(principal.user_id, page_from(cursor, limit))
        return EndpointPageView(
            items=[EndpointView.of(endpoint) for endpoint in found[:limit]],
            next_cursor=cursor_after([endpoint.id for endpoint in found], limit),
        )

    @get("/{endpoint_id:str}", guards=[_MANAGE], summary="Show a webhook endpoint")
    async def endpoint(
        self,
        endpoint_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        show_endpoint: NamedDependency[ShowEndpoint],
    ) -> EndpointView:
        """The endpoint, and whether it fails."""
        found = await show_endpoint(principal.user_id, WebhookEndpointId(endpoint_id))
        return EndpointView.of(found)

    @patch("/{endpoint_id:str}", guards=[_MANAGE], summary="Edit a webhook endpoint")
    async def edit(
        self,
        endpoint_id: FromPath[UUID],
        data: JSONBody[EditEndpointRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        edit_endpoint: NamedDependency[EditEndpoint],
    ) -> EndpointView:
        """Change it, or switch it on or off. Off, what is pending ends as failed."""
        edited = await edit_endpoint(
            EndpointEdit(
                user_id=principal.user_id,
                origin=origin,
                endpoint_id=WebhookEndpointId(endpoint_id),
                url=data.url,
                events=data.events,
                description=data.description,
                enabled=data.enabled,
            )
        )
        return EndpointView.of(edited)

    @delete("/{endpoint_id:str}", guards=[_MANAGE], summary="Delete a webhook endpoint")
    async def remove(
        self,
        endpoint_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        delete_endpoint: NamedDependency[DeleteEndpoint],
    ) -> None:
        """Remove it with its secret and its deliveries. There is no way back."""
        await delete_endpoint(principal.user_id, WebhookEndpointId(endpoint_id), origin=origin)

    @post(
        "/{endpoint_id:str}/rotate-secret",
        guards=[_MANAGE],
        status_code=HTTP_200_OK,
        summary="Rotate a webhook endpoint's secret",
    )
    async def rotate_secret(
        self,
        endpoint_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        rotate_secret: NamedDependency[RotateSecret],
        once: NamedDependency[OncePerKey],
        data: JSONBody[RotateSecretRequest | None] = None,
    ) -> Response[EndpointSecretView]:
        """Make a new secret, shown this once. Until the overlap ends, both sign."""
        asked = data or RotateSecretRequest()
        return await once(
            lambda completion: rotate_secret(
                SecretRotation(
                    user_id=principal.user_id,
                    origin=origin,
                    endpoint_id=WebhookEndpointId(endpoint_id),
                    overlap_seconds=asked.overlap_seconds,
                    once=completion,
                )
            ),
            EndpointSecretView.without_secret,
            first=EndpointSecretView.with_secret,
        )

    @post(
        "/{endpoint_id:str}/test",
        guards=[_MANAGE],
        status_code=HTTP_202_ACCEPTED,
        summary="Send a test event",
    )
    async def send_test(
        self,
        endpoint_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        send_test: NamedDependency[SendTest],
        once: NamedDependency[OncePerKey],
    ) -> Response[DeliveryView]:
        """Send `webhook.test`, once. Its delivery tells what came of it."""
        return await once(
            lambda completion: send_test(
                principal.user_id, WebhookEndpointId(endpoint_id), once=completion
            ),
            DeliveryView.of,
        )

    @get("/{endpoint_id:str}/deliveries", guards=[_MANAGE], summary="List deliveries")
    async def deliveries(
        self,
        endpoint_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        list_deliveries: NamedDependency[ListDeliveries],
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
        status: FromQuery[DeliveryState | None] = None,
        type: Annotated[str, QueryParameter(description="One type of event.")] = "",
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
    ) -> DeliveryPageView:
        """Newest event first; of one status or type, or within a time, if asked."""
        page = page_from(cursor, limit)
        found = await list_deliveries(
            principal.user_id,
            WebhookEndpointId(endpoint_id),
            DeliveryFilter(
                limit=page.limit,
                after=None if page.after is None else WebhookEventId(page.after),
                state=status,
                type=type,
                since=_moment("since", since),
                until=_moment("until", until),
            ),
        )
        return DeliveryPageView(
            items=[DeliveryView.of(delivery) for delivery in found[:limit]],
            next_cursor=cursor_after([delivery.event_id for delivery in found], limit),
        )

    @get(
        "/{endpoint_id:str}/deliveries/{event_id:str}", guards=[_MANAGE], summary="Show a delivery"
    )
    async def delivery(
        self,
        endpoint_id: FromPath[UUID],
        event_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        show_delivery: NamedDependency[ShowDelivery],
    ) -> DeliveryDetailView:
        """The delivery, the exact text that is sent, and its last 50 attempts."""
        record = await show_delivery(
            principal.user_id, WebhookEndpointId(endpoint_id), WebhookEventId(event_id)
        )
        return DeliveryDetailView.of(record)

    @post(
        "/{endpoint_id:str}/deliveries/{event_id:str}/replay",
        guards=[_MANAGE],
        status_code=HTTP_202_ACCEPTED,
        summary="Replay a delivery",
    )
    async def replay(
        self,
        endpoint_id: FromPath[UUID],
        event_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        replay_delivery: NamedDependency[ReplayDelivery],
        once: NamedDependency[OncePerKey],
    ) -> Response[DeliveryView]:
        """Send an event again, delivered or not: same `webhook-id`, same text."""
        return await once(
            lambda completion: replay_delivery(
                principal.user_id,
                WebhookEndpointId(endpoint_id),
                WebhookEventId(event_id),
                once=completion,
            ),
            DeliveryView.of,
        )

    @post(
        "/{endpoint_id:str}/deliveries/replay-failed",
        guards=[_MANAGE],
        status_code=HTTP_202_ACCEPTED,
        summary="Replay what failed",
    )
    async def replay_failed(
        self,
        endpoint_id: FromPath[UUID],
        data: JSONBody[ReplayFailedRequest],
        principal: NamedDependency[Principal],
        replay_failed: NamedDependency[ReplayFailed],
        once: NamedDependency[OncePerKey],
    ) -> Response[ReplayedView]:
        """Send again what failed since a moment, up to 1000 events, oldest first."""
        return await once(
            lambda completion: replay_failed(
                principal.user_id, WebhookEndpointId(endpoint_id), data.since, once=completion
            ),
            ReplayedView,
        )


def _moment(field: str, moment: datetime | None) -> datetime | None:
    return None if moment is None else given_moment(field, moment)
