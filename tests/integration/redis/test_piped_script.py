"""One connection for everybody's calls of a script: each gets the answer to their own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from adapters.redis.script_pipe import PipedScript
from tests.integration.redis.private_valkey import PrivateValkey

ECHO = "redis.call('INCR', KEYS[1]); return {KEYS[1], ARGV[1], #ARGV}"

Scripted = Callable[[Redis, str], PipedScript]


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    async with AsyncExitStack() as opened:

        def made(redis: Redis, script: str) -> PipedScript:
            piped = PipedScript(redis, script)
            opened.push_async_callback(piped.close)
            return piped

        yield made


async def test_each_gets_their_own_answer(redis: Redis, scripted: Scripted) -> None:
    echo = scripted(redis, ECHO)
    answers = await asyncio.gather(*(echo(["k"], [str(number), b"x", 7]) for number in range(500)))
    assert answers == [[b"k", str(number).encode(), 3] for number in range(500)]
    clients = [each for each in await redis.client_list() if each["cmd"].startswith("eval")]
    assert len(clients) == 1


async def test_a_server_that_does_not_know_the_script_is_told_it(
    redis: Redis, scripted: Scripted
) -> None:
    await redis.script_flush()
    echo = scripted(redis, ECHO)
    assert await echo(["k"], ["a"]) == [b"k", b"a", 1]
    await redis.script_flush()
    assert await echo(["k"], ["a"]) == [b"k", b"a", 1]


async def test_an_error_is_the_answer_of_whom_it_is_for(redis: Redis, scripted: Scripted) -> None:
    half = scripted(redis, "if ARGV[1] == 'bad' then return redis.call('NONSENSE') end return 1")
    answers = await asyncio.gather(
        *(half([], [each]) for each in ("good", "bad", "good")), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [int, ResponseError, int]


async def test_who_gives_up_takes_nobody_elses_answer(redis: Redis, scripted: Scripted) -> None:
    echo = scripted(redis, ECHO)
    await echo(["k"], ["warm"])
    calls = [asyncio.ensure_future(echo(["k"], [str(number)])) for number in range(50)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for number, answer in enumerate(answers):
        if number % 2:
            assert answer == [b"k", str(number).encode(), 1]
        else:
            assert isinstance(answer, asyncio.CancelledError)
    assert await echo(["k"], ["after"]) == [b"k", b"after", 1]


async def test_a_server_that_restarts_is_found_again(
    valkey: PrivateValkey, connect: Callable[[str], Redis], scripted: Scripted
) -> None:
    echo = scripted(connect(valkey.url), ECHO)
    assert await echo(["k"], ["a"])
    valkey.kill()
    with pytest.raises((RedisError, OSError)):
        await echo(["k"], ["a"])
    valkey.start()
    assert await echo(["k"], ["a"]) == [b"k", b"a", 1]
    valkey.kill()
    valkey.start()
    assert await echo(["k"], ["a"]) == [b"k", b"a", 1]


async def test_a_connection_killed_under_a_call_costs_one_more_try(
    redis: Redis, scripted: Scripted
) -> None:
    echo = scripted(redis, ECHO)
    await echo(["k"], ["a"])
    await redis.client_kill_filter(_type="normal", skipme=True)
    assert await echo(["k"], ["b"]) == [b"k", b"b", 1]


async def test_a_silent_server_is_given_up(
    valkey: PrivateValkey, connect: Callable[[str], Redis], scripted: Scripted
) -> None:
    echo = scripted(connect(valkey.url), ECHO)
    await echo(["k"], ["a"])
    valkey.freeze()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await echo(["k"], ["lost"])
    finally:
        valkey.thaw()
    assert await echo(["k"], ["b"]) == [b"k", b"b", 1]


async def test_a_silent_server_is_given_up_by_itself_and_not_asked_twice(
    valkey: PrivateValkey, connect: Callable[[str], Redis]
) -> None:
    echo = PipedScript(connect(valkey.url), ECHO, seconds=2)
    try:
        await echo(["k"], ["a"])
        valkey.freeze()
        try:
            calls = (echo(["k"], [str(number)]) for number in range(3))
            answers = await asyncio.gather(*calls, return_exceptions=True)
        finally:
            valkey.thaw()
        assert {type(answer) for answer in answers} == {RedisTimeoutError}
        assert await echo(["k"], ["b"]) == [b"k", b"b", 1]
    finally:
        await echo.close()


async def test_a_wrong_password_is_an_error(
    valkey: PrivateValkey, connect: Callable[[str], Redis], scripted: Scripted
) -> None:
    wrong = valkey.url.replace("redis://:", "redis://:not-")
    with pytest.raises(RedisError):
        await scripted(connect(wrong), ECHO)(["k"], ["a"])
