"""Razorpay, over its REST API: https://razorpay.com/docs/api/.

What is safe to repeat is repeated, a few times: reading, an order (its receipt is unique), a
capture, a refund (it carries an idempotency key). A charge to a mandate is not.
"""

from adapters.razorpay.gateway import RazorpayGateway, RazorpaySettings

__all__ = ["RazorpayGateway", "RazorpaySettings"]
