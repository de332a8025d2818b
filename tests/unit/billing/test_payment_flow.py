"""Buying over the in-memory repositories."""

from datetime import timedelta

import pytest

from tests.contracts.invoiced_flow_contract import InvoicedFlowContract
from tests.contracts.payment_flow_contract import DueAgain, PaymentFlowContract
from tests.contracts.shop import Shop
from tests.contracts.told_flow_contract import ToldFlowContract
from tests.fakes.clock import MovableClock
from tests.fakes.persistence.database import InMemoryDatabase
from tests.fakes.persistence.payments import InMemoryPaymentSchedule, InMemoryWebhooks
from tests.fakes.persistence.unit_of_work import InMemoryUnitOfWork


def in_memory_shop() -> Shop:
    clock = MovableClock()
    database = InMemoryDatabase(clock)
    webhooks = InMemoryWebhooks(clock)
    return Shop(
        uow=InMemoryUnitOfWork(database),
        schedule=InMemoryPaymentSchedule(database),
        inbox=webhooks,
        work=webhooks,
        clock=clock,
    )


class TestPapersInMemory(InvoicedFlowContract):
    @pytest.fixture
    def shop(self) -> Shop:
        return in_memory_shop()


class TestToldInMemory(ToldFlowContract):
    @pytest.fixture
    def shop(self) -> Shop:
        return in_memory_shop()


class TestInMemory(PaymentFlowContract):
    @pytest.fixture
    def shop(self) -> Shop:
        return in_memory_shop()

    @pytest.fixture
    def due_again(self, shop: Shop) -> DueAgain:
        async def move() -> None:
            shop.clock.move(timedelta(minutes=15))

        return move
