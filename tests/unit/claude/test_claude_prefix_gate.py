"""One call warms a prefix; the others wait for it to begin."""

import asyncio

from adapters.claude.prefix_gate import WARM_SECONDS, PrefixGate


class Calls:
    """Calls through a gate, each of which begins when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.gate = PrefixGate(lambda: self.now)
        self.inside: list[str] = []

    async def call(self, name: str, prefix: str, begin: asyncio.Event) -> None:
        async with self.gate.passing(prefix) as begun:
            self.inside.append(name)
            await begin.wait()
            begun()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_others_wait_until_the_first_has_begun_and_then_go_together() -> None:
    calls, begin = Calls(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(calls.call(name, "p", begin))
        await settle()
        waiting = list(calls.inside)
        begin.set()

    assert waiting == ["a"]
    assert calls.inside == ["a", "b", "c"]


async def test_another_prefix_and_none_at_all_wait_for_nobody() -> None:
    calls, begin = Calls(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for name, prefix in (("a", "p"), ("b", "q"), ("c", ""), ("d", "")):
            tasks.create_task(calls.call(name, prefix, begin))
        await settle()
        inside = list(calls.inside)
        begin.set()

    assert inside == ["a", "b", "c", "d"]


async def test_when_the_first_fails_the_next_leads() -> None:
    calls, begin = Calls(), asyncio.Event()
    first = asyncio.ensure_future(calls.call("a", "p", begin))
    rest = [asyncio.ensure_future(calls.call(name, "p", begin)) for name in "bc"]
    await settle()
    first.cancel()
    await settle()
    led = list(calls.inside)
    begin.set()
    await asyncio.gather(*rest)

    assert led == ["a", "b"]


async def test_a_prefix_grows_cold() -> None:
    calls, begun, held = Calls(), asyncio.Event(), asyncio.Event()
    begun.set()
    await calls.call("a", "p", begun)
    calls.now = WARM_SECONDS + 1
    rest = [asyncio.ensure_future(calls.call(name, "p", held)) for name in "bc"]
    await settle()
    led = list(calls.inside)
    held.set()
    await asyncio.gather(*rest)

    assert led == ["a", "b"]
