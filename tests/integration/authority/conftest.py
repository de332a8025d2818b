"""The world that every test of authority asks."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from entrypoints.local_stack import StackAddresses
from tests.integration.authority.world import World, open_world


@pytest.fixture(scope="package")
async def world(stack: StackAddresses) -> AsyncIterator[World]:
    # A task of its own: what the application opens must be closed where it was opened.
    opened, done = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def live() -> None:
        async with open_world(stack) as here:
            opened.set_result(here)
            await done.wait()

    living = asyncio.create_task(live())
    await asyncio.wait({living, opened}, return_when=asyncio.FIRST_COMPLETED)
    yield opened.result() if opened.done() else living.result()
    done.set()
    await living
