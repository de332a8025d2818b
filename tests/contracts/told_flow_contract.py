"""What endpoints hear of money: once, with the commit that moves it."""

import asyncio
import json
from typing import Any

from application.subscriptions.manage_subscription import NewSubscription
from domain.identity.user import Role, User
from domain.webhooks.endpoint import WebhookEndpoint
from tests.contracts.invoiced_flow_contract import give_back
from tests.contracts.office import Office
from tests.contracts.samples import ORIGIN, keep_user
from tests.contracts.shop import CAPTURED, FAILED, Shop
from tests.contracts.webhooks_contract import keep_endpoint, listed


async def listener(shop: Shop, owner: User, events: str) -> WebhookEndpoint:
    return await keep_endpoint(shop.uow, owner.id, events=(events,))


async def heard(shop: Shop, endpoint: WebhookEndpoint) -> list[tuple[str, dict[str, Any]]]:
    """Types and data of what the endpoint is told, oldest first."""
    told, deliveries = [], await listed(shop.uow, endpoint)
    async with shop.uow.begin(endpoint.user_id) as tx:
        for delivery in reversed(deliveries):
            body = json.loads(await tx.webhooks.body(delivery.event_id) or b"{}")
            told.append((delivery.type, body["data"]))
    return told


class ToldFlowContract:
    """Subclasses provide ``shop``."""

    async def test_a_payment_is_told_once_however_often_it_is_seen(self, shop: Shop) -> None:
        owner = await keep_user(shop.uow, role=Role.PARTNER)
        endpoint = await listener(shop, owner, "payment.*")
        order = await shop.order(owner)
        await shop.see(order, await shop.gateway.attempt(order, FAILED))
        seen = await shop.gateway.attempt(order, CAPTURED)
        await asyncio.gather(*(shop.see(order, seen) for _ in range(8)))
        (failed, why), (captured, what) = await heard(shop, endpoint)
        assert (failed, captured) == ("payment.failed", "payment.captured")
        assert (why["order_id"], what["order_id"]) == (str(order.id), str(order.id))
        assert (what["amount_paise"], what["credits"]) == (order.amount_paise, order.credits)

    async def test_a_refund_says_how_much_went_back(self, shop: Shop) -> None:
        owner = await keep_user(shop.uow, role=Role.PARTNER)
        _, payment = await shop.paid(await shop.order(owner))
        endpoint = await listener(shop, owner, "payment.refunded")
        await shop.refunds.request(give_back(payment, 10_000))
        ((type_, what),) = await heard(shop, endpoint)
        assert type_ == "payment.refunded"
        assert (what["payment_id"], what["amount_paise"]) == (str(payment.id), 10_000)


class ToldSubscriptionContract:
    """Subclasses provide ``office``."""

    async def test_the_life_of_a_subscription_is_told(self, office: Office) -> None:
        buyer = await office.person(role=Role.PARTNER)
        endpoint = await listener(office, buyer, "subscription.*")
        await office.start(
            NewSubscription(origin=ORIGIN, user_id=buyer.id, plan="pro", seats=1, trial=False)
        )
        await office.pay(buyer)
        await office.manage.cancel(buyer.id, origin=ORIGIN)
        told = await heard(office, endpoint)
        assert [type_ for type_, _ in told] == ["subscription.activated", "subscription.cancelled"]
        assert {what["plan"] for _, what in told} == {"pro"}
