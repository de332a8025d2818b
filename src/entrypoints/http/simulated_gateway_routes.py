"""The page of the simulated gateway, where an order is approved or declined. Local only."""

import base64
import hashlib
from html import escape
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Controller, Request, Response
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK

from adapters.simulated_gateway import Approval, SimulatedGateway
from adapters.simulated_gateway.gateway import PAGE
from application.billing.webhooks import ReceiveWebhook
from application.ports.payment_gateway import GatewayRefused
from domain.shared.money import rupees
from entrypoints.http.access import GATEWAY, public
from entrypoints.http.billing_schemas import CheckoutReplyView
from entrypoints.http.routing import get, post

_STYLE = """
:root { color-scheme: light dark; font: 1.0625rem/1.6 system-ui, sans-serif; }
body { display: grid; min-height: 100vh; margin: 0; place-items: center; }
main { box-sizing: border-box; max-width: 26rem; padding: 2rem; width: 100%; }
h1 { font-size: 1.375rem; line-height: 1.3; margin: 0 0 1rem; }
.amount { font-size: 2rem; font-weight: 700; margin: 0; }
.note { border-left: .25rem solid #b45309; margin: 1.5rem 0; padding-left: .75rem; }
form { display: inline-block; margin: 0 .75rem .75rem 0; }
button { border: .125rem solid currentcolor; border-radius: .5rem; cursor: pointer; font: inherit;
  font-weight: 600; min-height: 2.75rem; padding: .5rem 1.25rem; }
button.approve { background: #14532d; border-color: #14532d; color: #fff; }
button.decline { background: transparent; color: inherit; }
button:focus-visible { outline: .1875rem solid #2563eb; outline-offset: .1875rem; }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
}


class SimulatedGatewayController(Controller):
    """Paying where no money moves."""

    path = "/simulated-gateway/orders/{gateway_order_id:str}"
    include_in_schema = False
    opt = {GATEWAY: True}  # noqa: RUF012  # Litestar's own declaration

    @get(guards=[public], summary="The page to pay on")
    async def pay_page(
        self,
        gateway_order_id: FromPath[str],
        payment_gateway: NamedDependency[SimulatedGateway],
    ) -> Response[str]:
        """What is to be paid, and two buttons."""
        try:
            description, amount, _, paid = await payment_gateway.describe(gateway_order_id)
        except GatewayRefused:
            return _page("No such order", "<p>Look at the address, or order again.</p>", 404)
        if paid:
            return _page("Paid", _sum(description, amount) + _DONE)
        return _page(
            "Approve this payment?", _sum(description, amount) + _buttons(gateway_order_id)
        )

    @post("/approve", guards=[public], status_code=HTTP_200_OK, summary="Approve")
    async def approve_payment(
        self,
        gateway_order_id: FromPath[str],
        request: Request[Any, Any, Any],
        payment_gateway: NamedDependency[SimulatedGateway],
        receive_webhook: NamedDependency[ReceiveWebhook],
    ) -> Response[Any]:
        """Pay the order; the events are sent as a gateway would."""
        approval = await payment_gateway.approve(gateway_order_id)
        return await _told(request, approval, receive_webhook, "Payment approved", _DONE)

    @post("/decline", guards=[public], status_code=HTTP_200_OK, summary="Decline")
    async def decline_payment(
        self,
        gateway_order_id: FromPath[str],
        request: Request[Any, Any, Any],
        payment_gateway: NamedDependency[SimulatedGateway],
        receive_webhook: NamedDependency[ReceiveWebhook],
    ) -> Response[Any]:
        """Let the attempt fail. The order stays open for another."""
        approval = await payment_gateway.decline(gateway_order_id)
        return await _told(request, approval, receive_webhook, "Payment declined", _AGAIN)


async def _told(
    request: Request[Any, Any, Any],
    approval: Approval,
    receive_webhook: ReceiveWebhook,
    heading: str,
    text: str,
) -> Response[Any]:
    """Send the events, and answer a browser with a page, a program with the reply."""
    for headers, body in approval.events:
        await receive_webhook(headers, body)
    if "application/json" not in request.headers.get("accept", ""):
        return _page(heading, text)
    reply = CheckoutReplyView(
        razorpay_order_id=approval.reply.gateway_order_id,
        razorpay_payment_id=approval.reply.gateway_payment_id,
        razorpay_signature=approval.reply.signature,
    )
    return Response(msgspec.json.encode(reply), media_type="application/json")


_NOTE = '<p class="note">This is a simulation on your own machine. No money moves.</p>'
_DONE = "<p>The credits arrive within a few seconds. You may close this page.</p>"
_AGAIN = "<p>Nothing was paid. Go back to try again.</p>"


def _buttons(gateway_order_id: str) -> str:
    here = f"{PAGE}/{escape(gateway_order_id, quote=True)}"
    return (
        f'<form method="post" action="{here}/approve">'
        '<button class="approve" type="submit">Approve</button></form>'
        f'<form method="post" action="{here}/decline">'
        '<button class="decline" type="submit">Decline</button></form>'
    )


def _sum(description: str, amount_paise: int) -> str:
    return f'<p>{escape(description)}</p><p class="amount">{rupees(amount_paise)}</p>{_NOTE}'


def _page(heading: str, content: str, status: int = HTTPStatus.OK) -> Response[str]:
    return Response(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(heading)} – simulated payment</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(heading)}</h1>{content}</main></body></html>",
        media_type="text/html",
        status_code=status,
        headers=_HEADERS,
    )
