"""Orders: what a person is asked to pay for, before and after they have."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.shared.errors import DomainError
from domain.shared.ids import CouponId, OrderId, TransactionId, UserId

CURRENCY = "INR"
"""The only currency that anything is sold in."""

LEAST_PAISE = 100
"""The smallest total an order may have: the gateway takes no payment below one rupee."""

OPEN_FOR = timedelta(minutes=30)
"""How long a person may take to pay: an order unpaid by then is expired, its coupon freed."""


class OrderPurpose(StrEnum):
    """What an order is for, and so what its payment brings about."""

    TOP_UP = "top_up"
    SUBSCRIPTION_START = "subscription_start"
    SUBSCRIPTION_UPGRADE = "subscription_upgrade"
    SUBSCRIPTION_RENEWAL = "subscription_renewal"


class OrderStatus(StrEnum):
    """``open`` waits for a payment; the others are ends, but a late payment may still come."""

    OPEN = "open"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class OrderNotOpen(DomainError):
    """The order has been paid, has expired or was cancelled."""

    code = "order_not_open"

    def __init__(self, order: "Order") -> None:
        super().__init__(
            f"This order is {order.status}. Make a new order.",
            order_id=str(order.id),
            order_status=order.status.value,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A thing sold to a person at a price the server made.

    ``amount_paise`` is the whole total to pay, taxes included, a coupon's ``discount_paise``
    already taken off. ``reference`` says what is bought, in the words of its purpose: a pack's
    code, or a subscription's id. ``credits`` are what a top-up brings; other purposes leave it
    at 0. ``gateway_order_id`` is empty until the gateway knows the order. ``recurring`` asks
    the payer for a mandate that later orders may be charged to; ``gateway_customer_id`` is who
    it will belong to at the gateway. ``paid_with`` is the payment
    that paid it, of however many there are.
    """

    id: OrderId
    user_id: UserId
    purpose: OrderPurpose
    reference: str
    amount_paise: int
    description: str
    status: OrderStatus
    created_at: datetime
    expires_at: datetime
    credits: int = 0
    discount_paise: int = 0
    currency: str = CURRENCY
    gateway_order_id: str = ""
    gateway_customer_id: str = ""
    coupon_id: CouponId | None = None
    recurring: bool = False
    paid_at: datetime | None = None
    paid_with: TransactionId | None = None

    def __post_init__(self) -> None:
        if self.amount_paise < LEAST_PAISE or self.discount_paise < 0 or self.credits < 0:
            raise ValueError("an order asks for at least one rupee, and gives no less than nothing")

    @property
    def list_paise(self) -> int:
        """The total before the coupon."""
        return self.amount_paise + self.discount_paise

    @property
    def open(self) -> bool:
        """Whether it waits for a payment."""
        return self.status is OrderStatus.OPEN
