"""Subscriptions over PostgreSQL."""

from tests.contracts.subscription_flow_contract import SubscriptionFlowContract


class TestPostgres(SubscriptionFlowContract):
    """From an order to an end, with dispatchers that run at once."""
