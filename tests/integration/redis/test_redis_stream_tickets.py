"""Stream tickets on a real server."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from adapters.redis import RedisProbe, RedisStreamTickets
from application.ports.health import ProbeFailed
from application.ports.live import TicketsUnavailable
from tests.contracts.live_contract import StreamTicketsContract, make_holder, make_run_id
from tests.integration.redis.private_valkey import PrivateValkey, eventually


class TestRedisStreamTickets(StreamTicketsContract):
    @pytest.fixture
    def tickets(self, redis: Redis) -> RedisStreamTickets:
        return RedisStreamTickets(redis)

    @pytest.fixture
    def let_pass(self, redis: Redis) -> Callable[[int], Awaitable[None]]:
        async def nothing_is_left() -> bool:
            return int(await redis.dbsize()) == 0

        async def let_pass(seconds: int) -> None:
            await eventually(nothing_is_left, seconds + 5)

        return let_pass

    async def test_the_server_never_learns_a_ticket(
        self, redis: Redis, tickets: RedisStreamTickets
    ) -> None:
        ticket = await tickets.issue(make_holder(), make_run_id(), 30)
        [key] = await redis.keys()

        assert ticket.encode() not in key
        assert ticket.encode() not in await redis.get(key)

    async def test_a_ticket_has_256_random_bits(self, tickets: RedisStreamTickets) -> None:
        ticket = await tickets.issue(make_holder(), make_run_id(), 30)

        assert len(ticket) == 43  # 32 bytes in base64url

    async def test_every_ticket_expires(self, redis: Redis, tickets: RedisStreamTickets) -> None:
        await tickets.issue(make_holder(), make_run_id(), 30)
        [key] = await redis.keys()

        assert 0 < await redis.ttl(key) <= 30

    async def test_of_fifty_processes_exactly_one_redeems(
        self,
        running_valkey: PrivateValkey,
        tickets: RedisStreamTickets,
        connect: Callable[[str], Redis],
    ) -> None:
        user, run = make_holder(), make_run_id()
        ticket = await tickets.issue(user, run, 30)
        clients = [connect(running_valkey.url) for _ in range(50)]
        await asyncio.gather(*(client.ping() for client in clients))

        outcomes = await asyncio.gather(
            *(RedisStreamTickets(client).redeem(ticket, run) for client in clients)
        )

        assert [outcome for outcome in outcomes if outcome is not None] == [user]


async def test_without_a_server_tickets_are_unavailable_in_bounded_time(
    valkey: PrivateValkey, connect: Callable[[str], Redis]
) -> None:
    client = connect(valkey.url)
    tickets = RedisStreamTickets(client)
    ticket = await tickets.issue(make_holder(), make_run_id(), 30)
    valkey.kill()

    async with asyncio.timeout(20):
        with pytest.raises(TicketsUnavailable):
            await tickets.redeem(ticket, make_run_id())
        with pytest.raises(TicketsUnavailable):
            await tickets.issue(make_holder(), make_run_id(), 30)


async def test_a_frozen_server_is_unavailable_in_bounded_time(
    valkey: PrivateValkey, connect: Callable[[str], Redis]
) -> None:
    tickets = RedisStreamTickets(connect(valkey.url))
    valkey.freeze()

    async with asyncio.timeout(20):
        with pytest.raises(TicketsUnavailable):
            await tickets.redeem("any", make_run_id())
    valkey.thaw()


async def test_a_restart_is_not_noticed_by_the_next_ticket(
    valkey: PrivateValkey, connect: Callable[[str], Redis]
) -> None:
    tickets = RedisStreamTickets(connect(valkey.url))
    await tickets.issue(make_holder(), make_run_id(), 30)
    valkey.kill()
    valkey.start()
    user, run = make_holder(), make_run_id()

    assert await tickets.redeem(await tickets.issue(user, run, 30), run) == user


class TestProbe:
    async def test_it_says_who_answers(self, redis: Redis) -> None:
        probe = RedisProbe(redis)

        assert (probe.name, probe.required) == ("redis", True)
        assert (await probe.check()).startswith("Valkey ")

    async def test_a_dead_server_fails(
        self, valkey: PrivateValkey, connect: Callable[[str], Redis]
    ) -> None:
        probe = RedisProbe(connect(valkey.url))
        valkey.kill()

        with pytest.raises(ProbeFailed, match="does not answer"):
            await probe.check()

    async def test_a_frozen_server_fails_in_time(
        self, valkey: PrivateValkey, connect: Callable[[str], Redis]
    ) -> None:
        probe = RedisProbe(connect(valkey.url))
        valkey.freeze()

        async with asyncio.timeout(20):
            with pytest.raises(ProbeFailed, match="does not answer"):
                await probe.check()
        valkey.thaw()

    async def test_a_wrong_password_fails(
        self, valkey: PrivateValkey, connect: Callable[[str], Redis]
    ) -> None:
        with pytest.raises(ProbeFailed) as failure:
            await RedisProbe(connect(valkey.url.replace("only", "not"))).check()

        assert "not-for" not in str(failure.value)
