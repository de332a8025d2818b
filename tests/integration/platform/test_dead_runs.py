"""Dead runs, from an operator's side: HTTP and the command line on real parts."""

from uuid import uuid4

import asyncpg
import pytest

from entrypoints.cli.platform import Platform
from tests.integration.platform.operators import administrator, command
from tests.integration.platform.person import Person


@pytest.fixture
async def dead_run(platform: Platform, person: Person) -> str:
    """A run of somebody's, set aside by hand: how runs die is shown elsewhere."""
    project = await person.project()
    run = await person.post(f"/projects/{project['id']}/execute", status=202)
    await person.finished(run["id"])
    me = await person.get("/auth/me")
    database = await asyncpg.connect(platform.environment["DATABASE_URL"])
    try:
        await database.execute("SELECT set_config('app.user_id', $1, false)", me["user"]["id"])
        await database.execute(
            "UPDATE runs SET status = 'dead', error_code = 'worker_lost', error = 'Lost.'"
            " WHERE id = $1",
            run["id"],
        )
    finally:
        await database.close()
    return str(run["id"])


async def test_a_member_may_not_look_at_everybodys_runs(person: Person, dead_run: str) -> None:
    for path in ("/admin/runs", f"/admin/runs/{dead_run}"):
        assert (await person.get(path, status=403))["code"] == "permission_denied"
    refused = await person.post(f"/admin/runs/{dead_run}/retry", status=403)
    assert refused["code"] == "permission_denied"


async def test_an_operator_sees_a_dead_run_and_retries_it(
    platform: Platform, person: Person, dead_run: str
) -> None:
    async with administrator(platform) as operator:
        listed = await operator.get("/admin/runs", params={"status": "dead"})
        assert dead_run in [run["id"] for run in listed["items"]]
        evidence = await operator.get(f"/admin/runs/{dead_run}")
        assert evidence["run"]["error_code"] == "worker_lost"
        assert evidence["tasks"]
        assert evidence["events"][-1]["type"] == "run.finished"
        path, key = f"/admin/runs/{dead_run}/retry", {"Idempotency-Key": str(uuid4())}
        again = await operator.post(path, status=202, headers=key)
        assert again["retry_of"] == dead_run
        assert await operator.post(path, status=202, headers=key) == again
        refused = await operator.post(path, status=422, headers=key, json={})
        assert refused["code"] == "idempotency_mismatch"
    detail = await person.finished(again["id"])
    assert {task["status"] for task in detail["tasks"]} == {"reused"}
    refused = await person.post(f"/runs/{again['id']}/retry", status=409)
    assert refused["code"] == "run_succeeded"


async def test_the_command_line_does_the_same(
    platform: Platform, person: Person, dead_run: str
) -> None:
    status, said = await command(platform, "runs", "dead")
    assert (status, dead_run in said) == (0, True), said
    status, said = await command(platform, "runs", "show", dead_run)
    assert (status, "worker_lost: Lost." in said) == (0, True), said
    status, said = await command(platform, "runs", "retry", dead_run)
    assert status == 0, said
    latest = (await person.get("/projects"))["items"][0]["id"]
    runs = (await person.get(f"/projects/{latest}/runs"))["items"]
    assert runs[0]["retry_of"] == dead_run
    assert (await person.finished(runs[0]["id"]))["run"]["status"] == "succeeded"


async def test_nobody_gets_a_role_who_is_not_there(platform: Platform) -> None:
    status, said = await command(platform, "users", "grant-role", "nobody@example.com", "admin")
    assert (status, "nobody@example.com" in said) == (2, True), said
