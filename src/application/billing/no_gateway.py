"""A platform where nothing can be bought: no payment gateway is set."""

from collections.abc import Mapping
from typing import NoReturn

from application.ports.payment_gateway import (
    CheckoutReply,
    GatewayPayment,
    GatewayRefund,
    MandateCharge,
    Payer,
    PaymentsNotConfigured,
    RefundRequest,
)
from domain.billing.orders import Order


class NoGateway:
    """The ``PaymentGateway`` that refuses everything, and says why."""

    name = "none"

    def checkout(self, order: Order) -> NoReturn:
        raise PaymentsNotConfigured

    async def create_order(self, order: Order, payer: Payer) -> NoReturn:
        raise PaymentsNotConfigured

    async def payments_of(self, gateway_order_id: str) -> tuple[GatewayPayment, ...]:
        raise PaymentsNotConfigured

    async def payment(self, gateway_payment_id: str) -> NoReturn:
        raise PaymentsNotConfigured

    async def capture(self, gateway_payment_id: str, amount_paise: int) -> NoReturn:
        raise PaymentsNotConfigured

    async def refund(self, request: RefundRequest) -> NoReturn:
        raise PaymentsNotConfigured

    async def refunds_of(self, gateway_payment_id: str) -> tuple[GatewayRefund, ...]:
        raise PaymentsNotConfigured

    async def charge_mandate(self, charge: MandateCharge) -> NoReturn:
        raise PaymentsNotConfigured

    def check_reply(self, reply: CheckoutReply) -> NoReturn:
        raise PaymentsNotConfigured

    def check_event(self, headers: Mapping[str, str], body: bytes) -> NoReturn:
        raise PaymentsNotConfigured

    def read_event(self, body: bytes) -> NoReturn:
        raise PaymentsNotConfigured
