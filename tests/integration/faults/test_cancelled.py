"""A run whose person wants its end while a model answers."""

import asyncio
import time

from tests.integration.faults.exact import GRANT, RATE, Undisturbed
from tests.integration.faults.stage import Stage, until
from tests.servers.messages_api import Turn

CANCEL_SECONDS = 2.0


async def test_a_run_cancelled_in_the_middle_of_a_call_ends_at_once_and_keeps_what_it_has(
    stage: Stage, expected: Undisturbed
) -> None:
    # The first step's answer comes whole; the next two hang after some words.
    stage.model.script(Turn(), *[Turn(hang_after=2, piece=40)] * 2)
    await stage.open_worker()
    case = await stage.execute()
    await stage.until_calls(case, 3)
    hanging = stage.model.calls[-2:]

    async def streamed() -> bool:
        return all(call.said >= 2 for call in hanging)

    await until(streamed)
    told = time.monotonic()
    await case.person.post(f"/runs/{case.run_id}/cancel", status=202)
    detail = await case.finished()
    assert time.monotonic() - told <= CANCEL_SECONDS
    assert detail["run"]["status"] == "cancelled"
    async with asyncio.timeout(CANCEL_SECONDS):
        await asyncio.gather(*(call.disconnected.wait() for call in hanging))

    cut = await stage.rows(
        "SELECT * FROM model_calls WHERE run_id = $1 AND state <> 'replied'", case.run_id
    )
    assert {call["step"] for call in cut} == {"srs", "prd"}
    for call in cut:
        assert (call["state"], call["borne_by"], call["estimated"]) == ("failed", "user", True)
        # What the start of its message reported, and the words that came.
        assert call["input_tokens"] + call["cache_write_tokens"] + call["cache_read_tokens"] > 0
        assert call["output_tokens"] > 0
    tasks = {task["step"]: task for task in detail["tasks"]}
    assert {step: task["status"] for step, task in tasks.items()} == {
        "idea": "succeeded",
        "srs": "cancelled",
        "prd": "cancelled",
    }
    for call in cut:
        assert tasks[call["step"]]["credits"] == RATE.credits_for(call["cost_nano_usd"]) > 0
    balance = await case.person.get("/billing/balance")
    charged = sum(task["credits"] for task in tasks.values())
    assert (balance["available"] + charged, balance["reserved"]) == (GRANT, 0)

    listed = (await case.person.get(f"/projects/{case.project_id}/documents"))["items"]
    kept = {(document["type"], document["format"]) for document in listed}
    assert kept == {place for place in expected.documents if place[0] == "idea_brief"}
    for document in listed:
        answer = await case.person.http.get(f"/documents/{document['id']}/download")
        assert (answer.status_code, len(answer.content)) == (200, document["size"])
