"""A run of a priced model: what was quoted, charged, shown and booked are held together."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.shared.money import rupees
from entrypoints.cli.platform import running_platform
from entrypoints.local_stack.ports import choose_free_port
from tests.fakes.prices import FIRST_RATE, PUBLISHED
from tests.integration.platform.conftest import environment
from tests.integration.platform.person import Person
from tests.servers.answers import from_offline_model
from tests.servers.messages_api import MessagesServer

IDEA = "A list of books."


@pytest.fixture(scope="module")
async def buyer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Person]:
    """Somebody on a platform whose model is a server that counts tokens and is priced."""
    async with MessagesServer(from_offline_model()) as model:
        settings = {
            **environment(),
            "ANTHROPIC_API_KEY": "priced",
            "ANTHROPIC_BASE_URL": model.url,
        }
        async with (
            running_platform(
                tmp_path_factory.mktemp("priced"),
                settings,
                port=choose_free_port(),
                log_to_files=True,
            ) as platform,
            Person(platform.url) as person,
        ):
            yield person


@pytest.fixture(scope="module")
async def bought(buyer: Person) -> dict[str, Any]:
    """What the person was told before, during and after one run."""
    project = await buyer.project(IDEA)
    quoted = await buyer.post(f"/projects/{project['id']}/quote", status=200)
    run = await buyer.post(f"/projects/{project['id']}/execute", status=202)
    return {"quote": quoted, "detail": await buyer.finished(run["id"]), "project": project}


async def test_a_quote_is_of_the_model_that_will_be_asked(bought: dict[str, Any]) -> None:
    quoted = bought["quote"]
    assert not quoted["offline"]
    assert {step["model"] for step in quoted["steps"]} == {"claude-sonnet-5-5", ""}
    assert {step["basis"] for step in quoted["steps"]} == {"measured"}
    low, expected, high = (quoted[name]["credits"] for name in ("low", "expected", "high"))
    assert 0 < low < expected < high
    assert expected == sum(step["expected"]["credits"] for step in quoted["steps"])


async def test_the_steps_are_the_run_and_the_run_is_the_ledger_and_the_usage(
    buyer: Person, bought: dict[str, Any]
) -> None:
    detail = bought["detail"]
    assert detail["run"]["status"] == "succeeded", detail["run"]["error"]
    charged = sum(task["credits"] for task in detail["tasks"])
    assert detail["credits"] == charged > 0
    assert detail["cost"] == rupees(charged)
    me = await buyer.get("/auth/me")
    assert (me["credits_available"] + charged, me["credits_reserved"]) == (50_000, 0)
    entries = await buyer.get(
        "/billing/ledger", params={"run_id": detail["run"]["id"], "limit": 100}
    )
    assert entries["next_cursor"] is None
    assert sum(entry["charged"] for entry in entries["items"]) == charged
    usage = await buyer.get("/usage")
    assert usage["total"]["credits"] == charged
    assert usage["total"]["tokens"] == detail["tokens_used"]
    by_model = await buyer.get("/usage", params={"group_by": "model"})
    assert {item["key"] for item in by_model["items"]} <= {"claude-sonnet-5-5", ""}
    assert charged <= bought["quote"]["high"]["credits"]


async def test_each_step_costs_what_its_tokens_do(bought: dict[str, Any]) -> None:
    detail = bought["detail"]
    rate = detail["exchange_rate"]["paise_per_usd"]
    assert rate == FIRST_RATE.paise_per_usd
    day = detail["run"]["created_at"][:10]
    row = next(
        price
        for price in sorted(PUBLISHED.prices, key=lambda price: price.valid_from, reverse=True)
        if price.model == "claude-sonnet-5-5" and price.valid_from.isoformat() <= day
    )
    for task in detail["tasks"]:
        cost = (
            task["input_tokens"] * row.input
            + task["output_tokens"] * row.output
            + task["cache_write_tokens"] * row.cache_write
            + task["cache_write_1h_tokens"] * row.cache_write_1h
            + task["cache_read_tokens"] * row.cache_read
        )
        assert task["cost_nano_usd"] == cost
        assert task["credits"] == -(-cost * rate // 10**9)
        assert task["cost"] == rupees(task["credits"])


async def test_executing_again_reuses_everything_and_charges_nothing(
    buyer: Person, bought: dict[str, Any]
) -> None:
    before = await buyer.get("/usage")
    run = await buyer.post(f"/projects/{bought['project']['id']}/execute", status=202)
    detail = await buyer.finished(run["id"])
    assert {task["status"] for task in detail["tasks"]} == {"reused"}
    assert detail["credits"] == 0
    assert (await buyer.get("/usage"))["total"] == before["total"]
