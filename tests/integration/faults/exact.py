"""The one check after every fault: the run came out as if nothing had happened."""

import io
import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from typing import Any

from adapters.postgres.audit import CHECKS
from tests.fakes.prices import FIRST_RATE
from tests.integration.faults.stage import Case, Stage

GRANT = 50_000
RATE = FIRST_RATE

Documents = dict[tuple[str, str], str]


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """What a run without faults made, and how often it asked the model."""

    steps: frozenset[str]
    documents: Documents
    calls: int


async def undisturbed(stage: Stage) -> Undisturbed:
    """Execute a run with nothing in its way."""
    case = await stage.execute()
    detail = await case.finished()
    assert detail["run"]["status"] == "succeeded", detail
    return Undisturbed(
        steps=frozenset(task["step"] for task in detail["tasks"]),
        documents=await documents_of(case),
        calls=len(stage.model.calls) - case.calls_before,
    )


async def assert_exact(
    stage: Stage,
    case: Case,
    expected: Undisturbed,
    *,
    more_calls: int | None = 0,
) -> None:
    """Nothing lost, nothing twice, and the account right to the credit.

    ``more_calls`` is how often the model may have been asked beyond an undisturbed run: the
    calls that were under way when something died. None where others asked meanwhile.
    """
    await assert_ended_once(stage, case, expected)
    await assert_account(stage, case)
    assert await documents_of(case) == expected.documents
    if more_calls is not None:
        asked = len(stage.model.calls) - case.calls_before
        assert expected.calls <= asked + more_calls
        assert asked <= expected.calls + more_calls, await _evidence(stage, case, asked)


async def _evidence(stage: Stage, case: Case, asked: int) -> str:
    """What was asked, with the claims and the journal that led to it."""
    events = await stage.rows(
        "SELECT at, type, data FROM run_events WHERE run_id = $1 AND type LIKE 'run.%'"
        " ORDER BY seq",
        case.run_id,
    )
    calls = await stage.rows(
        "SELECT created_at, concluded_at, step, request_hash, part, purpose, state, borne_by,"
        " failure FROM model_calls WHERE run_id = $1 ORDER BY created_at",
        case.run_id,
    )
    lines = [f"{event['at']:%T.%f} {event['type']} {event['data']}" for event in events]
    for call in calls:
        call["request_hash"] = call["request_hash"][:6]
        lines.append(" ".join(str(value) for value in call.values()))
    return f"{asked} calls:\n" + "\n".join(lines)


async def assert_ended_once(stage: Stage, case: Case, expected: Undisturbed) -> None:
    """One end, one finished task per step, and a log without gap or repeat."""
    (run,) = await stage.rows("SELECT * FROM runs WHERE id = $1", case.run_id)
    assert (run["status"], run["progress"]) == ("succeeded", 100), run["error"]
    assert run["lease_until"] is None
    tasks = await stage.rows("SELECT * FROM agent_tasks WHERE run_id = $1", case.run_id)
    assert Counter(task["step"] for task in tasks) == Counter(expected.steps)
    assert {task["status"] for task in tasks} == {"succeeded"}
    events = await stage.rows(
        "SELECT seq, type, data->>'step' AS step FROM run_events WHERE run_id = $1 ORDER BY seq",
        case.run_id,
    )
    assert [event["seq"] for event in events] == list(range(1, run["event_seq"] + 1))
    finished = Counter(event["step"] for event in events if event["type"] == "step.finished")
    assert finished == Counter(expected.steps)
    assert [event["type"] for event in events].count("run.finished") == 1
    assert events[-1]["type"] == "run.finished"
    assert events[0]["type"] == "run.queued"


async def assert_account(stage: Stage, case: Case) -> None:
    """What was charged is what the journal of calls says, and the rest is free again.

    Over all runs of the case's person.
    """
    (owner,) = await stage.rows("SELECT user_id FROM runs WHERE id = $1", case.run_id)
    user_id = owner["user_id"]
    calls = await stage.rows("SELECT * FROM model_calls WHERE user_id = $1", user_id)
    tasks = await stage.rows("SELECT * FROM agent_tasks WHERE user_id = $1", user_id)
    assert not [call for call in calls if call["state"] == "intent"]
    for task in tasks:
        borne = sum(
            call["cost_nano_usd"]
            for call in calls
            if (call["run_id"], call["step"]) == (task["run_id"], task["step"])
            and call["state"] == "replied"
            and call["borne_by"] == "user"
        )
        credits = RATE.credits_for(borne) if task["status"] == "succeeded" else 0
        assert task["credits"] == credits, task["step"]
        assert task["tokens_used"] > 0 or credits == 0
    bought = Counter(
        (call["run_id"], call["step"], call["request_hash"], call["part"])
        for call in calls
        if call["state"] == "replied" and call["borne_by"] == "user"
    )
    assert set(bought.values()) <= {1}, "an answer was paid for twice"
    charged = sum(task["credits"] for task in tasks)
    (balance,) = await stage.rows("SELECT * FROM balances WHERE user_id = $1", user_id)
    assert (balance["available"] + charged, balance["reserved"]) == (GRANT, 0)
    assert not await stage.rows("SELECT * FROM holds WHERE user_id = $1", user_id)
    entries = await stage.rows(
        "SELECT e.id, e.kind, p.account, p.amount FROM journal e"
        " JOIN postings p ON p.entry_id = e.id WHERE e.user_id = $1",
        user_id,
    )
    sums: dict[int, int] = {}
    accounts: Counter[str] = Counter()
    for entry in entries:
        sums[entry["id"]] = sums.get(entry["id"], 0) + entry["amount"]
        accounts[entry["account"]] += entry["amount"]
    assert set(sums.values()) == {0}
    assert (accounts["available"], accounts["reserved"]) == (balance["available"], 0)
    settled = [
        entry["amount"]
        for entry in entries
        if entry["kind"] == "settle" and entry["account"] == "revenue"
    ]
    assert sum(settled) == charged
    usage = await stage.rows("SELECT * FROM usage WHERE user_id = $1", user_id)
    assert Counter({(row["run_id"], row["step"]): row["credits"] for row in usage}) == Counter(
        {
            (task["run_id"], task["step"]): task["credits"]
            for task in tasks
            if task["status"] != "reused"
        }
    )
    for run in await stage.rows("SELECT * FROM runs WHERE user_id = $1", user_id):
        credits = sum(task["credits"] for task in tasks if task["run_id"] == run["id"])
        assert run["charged_credits"] == credits <= run["cap_credits"]
    mine = {str(user_id), *(str(task["run_id"]) for task in tasks)}
    for check in CHECKS:
        different = await stage.rows(check.differences)
        assert not [row for row in different if mine & set(row["place"].split())], check.name


async def documents_of(case: Case) -> Documents:
    """The project's documents as text, without what differs from run to run."""
    listed: list[dict[str, Any]] = (
        await case.person.get(f"/projects/{case.project_id}/documents")
    )["items"]
    documents: Documents = {}
    for document in listed:
        answer = await case.person.http.get(f"/documents/{document['id']}/download")
        assert answer.status_code == 200, answer.text
        text = f"version {document['version']}\n{_text(answer.content)}"
        documents[document["type"], document["format"]] = _normalised(text)
    assert len(documents) == len(listed)
    return documents


def _text(data: bytes) -> str:
    if not data.startswith(b"PK"):
        return data.decode()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return "\n".join(archive.read(name).decode("latin-1") for name in archive.namelist())


_VOLATILE = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?Z?)?"), "<date>"),
    (re.compile(r"\d{1,2} [A-Z][a-z]+ \d{4}"), "<date>"),
    (re.compile(r"\d+(?:\.\d+)?(?: |&nbsp;|\u00a0)?(?:ms|s)\b"), "<duration>"),
)


def _normalised(text: str) -> str:
    for pattern, mark in _VOLATILE:
        text = pattern.sub(mark, text)
    return text
