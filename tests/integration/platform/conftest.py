"""A whole platform: servers of its own, HTTP, worker and dispatcher."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from entrypoints.cli.platform import Platform, running_platform
from entrypoints.local_stack.ports import choose_free_port
from tests.described import as_documented
from tests.integration.commits import let_commits_not_wait
from tests.integration.platform.person import Person


def environment() -> dict[str, str]:
    """What a platform is started with: servers of its own, and nothing of ours.

    Not the session's: a dispatcher and workers would take the runs other tests make.
    """
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ},
        "ALLOWED_ORIGINS": "https://app.example.com",
        "WEBHOOK_PRIVATE_ADDRESSES": "true",
    }


@pytest.fixture(scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """HTTP, worker and dispatcher, as ``bharatbuild up`` starts them."""
    root: Path = tmp_path_factory.mktemp("platform")
    async with running_platform(
        root, environment(), port=choose_free_port(), log_to_files=True
    ) as running:
        # Processes that are connected already wait on; HTTP opens most of its connections later.
        addresses = running.stack.remembered()
        assert addresses is not None
        await let_commits_not_wait(addresses.database_owner_url or "")
        yield running


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """A client that has not signed in."""
    async with httpx.AsyncClient(
        base_url=f"{platform.url}/api/v1",
        timeout=30,
        trust_env=False,
        event_hooks={"response": [as_documented]},
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
async def person(platform: Platform) -> AsyncIterator[Person]:
    """Somebody who is registered and signed in; one a module, as hashing is slow on purpose."""
    async with Person(platform.url) as registered:
        yield registered


@pytest.fixture
async def newcomer(platform: Platform) -> AsyncIterator[Person]:
    """Somebody without a project."""
    async with Person(platform.url) as registered:
        yield registered


@pytest.fixture
async def stranger(platform: Platform) -> AsyncIterator[Person]:
    """Somebody else."""
    async with Person(platform.url) as registered:
        yield registered
