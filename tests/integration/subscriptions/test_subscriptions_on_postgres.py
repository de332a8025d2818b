"""Subscriptions over PostgreSQL."""

from tests.contracts.subscription_flow_contract import SubscriptionFlowContract
from tests.contracts.told_flow_contract import ToldSubscriptionContract


class TestPostgres(SubscriptionFlowContract):
    """From an order to an end, with dispatchers that run at once."""


class TestTold(ToldSubscriptionContract):
    """What endpoints hear of it."""
