"""Subscriptions over the fakes."""

import pytest

from tests.contracts.office import Office
from tests.contracts.subscription_flow_contract import SubscriptionFlowContract
from tests.contracts.told_flow_contract import ToldSubscriptionContract
from tests.fakes.clock import MovableClock
from tests.fakes.persistence import (
    InMemoryDatabase,
    InMemorySubscriptionSchedule,
    InMemoryUnitOfWork,
)
from tests.fakes.persistence.payments import InMemoryPaymentSchedule, InMemoryWebhooks


@pytest.fixture
def office() -> Office:
    clock = MovableClock()
    database = InMemoryDatabase(clock)
    webhooks = InMemoryWebhooks(clock)
    return Office(
        uow=InMemoryUnitOfWork(database),
        schedule=InMemoryPaymentSchedule(database),
        inbox=webhooks,
        work=webhooks,
        clock=clock,
        subscriptions=InMemorySubscriptionSchedule(database),
    )


class TestToldInMemory(ToldSubscriptionContract):
    """What endpoints hear of it."""


class TestInMemory(SubscriptionFlowContract):
    """From an order to an end."""
