"""The simulated gateway in memory, with payers who do as a test says."""

import secrets
from dataclasses import replace
from typing import Any

from adapters.simulated_gateway import SimulatedGateway
from application.ports.payment_gateway import (
    GatewayPayment,
    GatewayRefund,
    GatewayUnavailable,
    RefundRequest,
)
from domain.billing.orders import CURRENCY, Order
from domain.billing.payments import TransactionStatus


class InMemoryGatewayStore:
    """Documents by name, for one process."""

    def __init__(self) -> None:
        self._documents: dict[str, bytes] = {}

    async def get(self, name: str) -> bytes:
        return self._documents.get(name, b"")

    async def swap(self, name: str, before: bytes, after: bytes) -> bool:
        if self._documents.get(name, b"") != before:
            return False
        self._documents[name] = after
        return True


def simulated_gateway() -> SimulatedGateway:
    """A simulated gateway with a store of its own."""
    return SimulatedGateway(InMemoryGatewayStore(), b"a secret of tests")


class ScriptedGateway(SimulatedGateway):
    """A simulated gateway whose payments stand as a test wants them, or that is away."""

    def __init__(self) -> None:
        super().__init__(InMemoryGatewayStore(), b"a secret of tests")
        self.away = False
        self.refund_status = TransactionStatus.PROCESSED

    async def attempt(
        self, order: Order, status: TransactionStatus | None, **changes: Any
    ) -> GatewayPayment:
        """An attempt to pay, at any stage and of any amount."""
        fields: dict[str, Any] = {
            "id": f"pay_{secrets.token_hex(8)}",
            "gateway_order_id": order.gateway_order_id,
            "status": status,
            "amount_paise": order.amount_paise,
            "currency": CURRENCY,
            "method": "upi",
            **changes,
        }
        payment = GatewayPayment(**fields)
        await self._change(order.gateway_order_id, lambda account: account.payments.append(payment))
        await self._point(payment, order.gateway_order_id)
        return payment

    async def forget_refunds(self, gateway_order_id: str) -> None:
        """Refunds that failed give their amount free again."""
        await self._change(gateway_order_id, lambda account: account.refunds.clear())

    async def payments_of(self, gateway_order_id: str) -> tuple[GatewayPayment, ...]:
        self._answer()
        return await super().payments_of(gateway_order_id)

    async def payment(self, gateway_payment_id: str) -> GatewayPayment:
        self._answer()
        return await super().payment(gateway_payment_id)

    async def capture(self, gateway_payment_id: str, amount_paise: int) -> GatewayPayment:
        self._answer()
        return await super().capture(gateway_payment_id, amount_paise)

    async def refund(self, request: RefundRequest) -> GatewayRefund:
        self._answer()
        return replace(await super().refund(request), status=self.refund_status)

    def _answer(self) -> None:
        if self.away:
            raise GatewayUnavailable("away")
