"""Limits and revocations hold over all processes, and when Redis is killed."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import httpx
import pytest

from tests.integration.keys.conftest import Cluster

DAY = 24 * 60 * 60


def client_of(url: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"{url}/api/v1", headers={"X-API-Key": key}, timeout=30, trust_env=False
    )


async def statuses(client: httpx.AsyncClient, calls: int) -> list[httpx.Response]:
    return [await client.get("/projects") for _ in range(calls)]


async def test_a_thousand_calls_over_four_processes_pass_a_hundred_times(cluster: Cluster) -> None:
    key = await cluster.partner.issue(limits=[{"quota": 100, "window_seconds": DAY}])
    clients = [client_of(url, key["secret"]) for url in cluster.urls for _ in range(5)]
    answers = [
        answer
        for batch in await asyncio.gather(*(statuses(client, 50) for client in clients))
        for answer in batch
    ]
    for client in clients:
        await client.aclose()
    assert len(answers) == 1_000
    assert Counter(answer.status_code for answer in answers) == {200: 100, 429: 900}
    for answer in answers:
        assert '"key-day";q=100;w=86400' in answer.headers["RateLimit-Policy"]
        assert '"key-day";r=' in answer.headers["RateLimit"]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "rate_limited"
    assert refused.json()["violated_policies"] == ["key-day"]
    assert 0 < int(refused.headers["Retry-After"]) <= 864
    assert int(refused.headers["Retry-After"]) == refused.json()["retry_after_seconds"]


async def calling_until_refused(client: httpx.AsyncClient, passed: list[float]) -> None:
    """Call without a pause until an answer is not 200; note when each good answer was asked for."""
    while True:
        asked = time.monotonic()
        answer = await client.get("/projects")
        if answer.status_code != httpx.codes.OK:
            assert answer.json()["code"] == "invalid_api_key", answer.text
            return
        passed.append(asked)


async def revoke_while_calls_go_on(cluster: Cluster, key: dict[str, str]) -> list[float]:
    """How long after the revocation's answer each process still took the key, in seconds."""
    clients = [client_of(url, key["secret"]) for url in cluster.urls for _ in range(2)]
    passed: list[list[float]] = [[] for _ in clients]
    async with asyncio.timeout(30):
        calls = [
            asyncio.ensure_future(calling_until_refused(client, noted))
            for client, noted in zip(clients, passed, strict=True)
        ]
        while min(len(noted) for noted in passed) < 20:
            await asyncio.sleep(0.05)
        answer = await cluster.partner.http.delete(f"/api-keys/{key['id']}")
        assert answer.status_code == httpx.codes.OK
        revoked = time.monotonic()
        await asyncio.gather(*calls)
    for client in clients:
        await client.aclose()
    return [max(noted) - revoked for noted in passed]


async def test_a_revocation_reaches_every_process_within_a_second(cluster: Cluster) -> None:
    for _ in range(3):
        late = await revoke_while_calls_go_on(cluster, await cluster.partner.issue())
        assert len(late) == 8
        assert max(late) < 1


async def test_without_the_push_a_revocation_holds_at_once(cluster: Cluster) -> None:
    key, dead = await cluster.partner.issue(), await cluster.partner.issue()
    clients = [client_of(url, dead["secret"]) for url in cluster.urls]
    for client in clients:
        assert (await client.get("/projects")).status_code == httpx.codes.OK
    cluster.valkey.kill()
    # Until each process has noticed: the kernel tells them at once.
    await asyncio.sleep(2)
    answer = await cluster.partner.http.delete(f"/api-keys/{dead['id']}")
    assert answer.status_code == httpx.codes.OK
    for client in clients:
        assert (await client.get("/projects")).json()["code"] == "invalid_api_key"
        await client.aclose()
    async with client_of(cluster.urls[1], key["secret"]) as client:
        assert (await client.get("/projects")).status_code == httpx.codes.OK


async def test_a_silent_redis_is_found_out_within_a_second(cluster: Cluster) -> None:
    dead = await cluster.partner.issue()
    clients = [client_of(url, dead["secret"]) for url in cluster.urls]
    for client in clients:
        assert (await client.get("/projects")).status_code == httpx.codes.OK
    cluster.valkey.freeze()
    try:
        answer = await cluster.partner.http.delete(f"/api-keys/{dead['id']}")
        assert answer.status_code == httpx.codes.OK
        await asyncio.sleep(1)
        for client in clients:
            assert (await client.get("/projects")).json()["code"] == "invalid_api_key"
            await client.aclose()
    finally:
        cluster.valkey.thaw()


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_without_redis_callers_are_limited_and_never_let_in(
    cluster: Cluster, how: str
) -> None:
    used_up = await cluster.partner.issue(limits=[{"quota": 20, "window_seconds": DAY}])
    fresh = await cluster.partner.issue(limits=[{"quota": 100, "window_seconds": DAY}])
    before = await over_all(cluster, used_up["secret"], 10)
    assert before == {200: 20, 429: 20}
    # Each process has refused it once, and so knows.
    assert await over_all(cluster, used_up["secret"], 1) == {429: 4}
    getattr(cluster.valkey, how)()
    try:
        # A tenth of the quota in each process, and nothing for whom it had refused.
        assert await over_all(cluster, fresh["secret"], 40) == {200: 40, 429: 120}
        assert await over_all(cluster, used_up["secret"], 5) == {429: 20}
        for url in cluster.urls:
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                anonymous = [(await client.get(f"{url}/api/v1/projects")) for _ in range(65)]
                assert {answer.status_code for answer in anonymous} == {401, 429}
                shown = (await client.get(f"{url}/metrics")).text
                assert "bharatbuild_rate_limiter_alone 1.0" in shown
    finally:
        cluster.valkey.thaw() if how == "freeze" else cluster.valkey.start()
    async with asyncio.timeout(20):
        while 429 not in await over_all(cluster, used_up["secret"], 1) or not await shared(
            cluster.urls
        ):
            await asyncio.sleep(0.2)


async def over_all(cluster: Cluster, key: str, calls: int) -> dict[int, int]:
    """Call that often in each process at once; how often it was answered how."""
    clients = [client_of(url, key) for url in cluster.urls]
    batches = await asyncio.gather(*(statuses(client, calls) for client in clients))
    for client in clients:
        await client.aclose()
    return dict(Counter(answer.status_code for batch in batches for answer in batch))


async def shared(urls: Sequence[str]) -> bool:
    """Whether no process limits by itself."""
    async with httpx.AsyncClient(trust_env=False) as client:
        shown = [(await client.get(f"{url}/metrics")).text for url in urls]
    return all("bharatbuild_rate_limiter_alone 0.0" in text for text in shown)
