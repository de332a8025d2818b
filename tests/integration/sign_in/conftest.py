"""HTTP with a real OpenID provider, where administrators need a second factor."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from entrypoints.local_stack import StackAddresses
from entrypoints.local_stack.ports import choose_free_port
from tests.integration.http_process import answering, http_environment, http_process
from tests.servers.openid_provider import RealProvider, running_provider


@dataclass(frozen=True)
class Place:
    """Where HTTP answers, its provider, and the database as its owner."""

    url: str
    there: RealProvider
    owner_url: str


@pytest.fixture(scope="package")
async def place(
    stack: StackAddresses, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    port = choose_free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("sign-in") / "http.log"
    async with running_provider(f"{url}/api/v1/auth/google/callback") as there:
        environment = {
            **http_environment(stack),
            "PUBLIC_URL": url,
            "GOOGLE_CLIENT_ID": there.client_id,
            "GOOGLE_CLIENT_SECRET": there.client_secret,
            "GOOGLE_ISSUER": there.issuer,
            "ADMIN_SECOND_FACTOR": "required",
            "ALLOWED_ORIGINS": "https://app.example.com",
            "ADDRESS_PER_MINUTE": "100000",
            "UNVERIFIED_PER_MINUTE": "100000",
        }
        async with http_process(environment, log, port) as answers:
            await answering(answers)
            yield Place(url=url, there=there, owner_url=stack.database_owner_url or "")
