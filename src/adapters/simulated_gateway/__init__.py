"""A payment gateway for a laptop: no money moves, a page approves or declines.

It behaves as a real one does towards the rest of the platform: orders, captures, refunds,
mandates, signed replies and signed events. Its state is in the platform's own Redis, so that
every process sees the same; it is not meant to outlive it. Never in production.
"""

from adapters.simulated_gateway.gateway import Approval, SimulatedGateway
from adapters.simulated_gateway.store import RedisGatewayStore

__all__ = ["Approval", "RedisGatewayStore", "SimulatedGateway"]
