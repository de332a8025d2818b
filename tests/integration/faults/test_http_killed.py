"""HTTP that dies while it accepts a run: either there is one, or the person asks again."""

from collections.abc import AsyncIterator

import httpx
import pytest

from application.failpoints import Failpoint
from entrypoints.local_stack.ports import choose_free_port
from tests.integration.faults.exact import Undisturbed, assert_exact
from tests.integration.faults.stage import IDEA, Case, Stage
from tests.integration.platform.person import Person


@pytest.fixture
async def customer(stage: Stage) -> Person:
    """Somebody with a project."""
    return await stage.newcomer()


@pytest.fixture
async def doomed(stage: Stage, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The address of an HTTP process that dies where the test says."""
    port = choose_free_port()
    process = await stage.start_http(port, at=request.param)
    yield f"http://127.0.0.1:{port}/api/v1"
    await stage.end(process)


async def _executed_in_vain(doomed: str, customer: Person, key: str = "") -> str:
    project = await customer.project(IDEA)
    keyed = {"Idempotency-Key": key} if key else {}
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        with pytest.raises(httpx.TransportError):
            await client.post(
                f"{doomed}/projects/{project['id']}/execute",
                headers={"Authorization": customer.http.headers["Authorization"], **keyed},
            )
    return str(project["id"])


@pytest.mark.parametrize("doomed", [Failpoint.EXECUTE_BEFORE_COMMIT], indirect=True)
async def test_killed_before_its_commit_it_has_accepted_nothing(
    stage: Stage, expected: Undisturbed, doomed: str, customer: Person
) -> None:
    project_id = await _executed_in_vain(doomed, customer)
    assert not await stage.rows("SELECT 1 FROM runs WHERE project_id = $1", project_id)
    before = len(stage.model.calls)
    run = await customer.post(f"/projects/{project_id}/execute", status=202)
    await stage.start("worker")
    case = Case(person=customer, project_id=project_id, run_id=run["id"], calls_before=before)
    await case.finished()
    await assert_exact(stage, case, expected)


@pytest.mark.parametrize("doomed", [Failpoint.EXECUTE_AFTER_COMMIT], indirect=True)
async def test_killed_after_its_commit_it_has_accepted_the_run(
    stage: Stage, expected: Undisturbed, doomed: str, customer: Person
) -> None:
    before = len(stage.model.calls)
    project_id = await _executed_in_vain(doomed, customer)
    problem = await customer.post(f"/projects/{project_id}/execute", status=409)
    assert problem["code"] == "run_in_progress"
    await stage.start("worker")
    (run,) = await stage.rows("SELECT id FROM runs WHERE project_id = $1", project_id)
    case = Case(person=customer, project_id=project_id, run_id=str(run["id"]), calls_before=before)
    await case.finished()
    await assert_exact(stage, case, expected)


@pytest.mark.parametrize("doomed", [Failpoint.EXECUTE_BEFORE_COMMIT], indirect=True)
async def test_killed_between_a_key_and_its_effect_the_key_is_free_after_its_lease(
    stage: Stage, expected: Undisturbed, doomed: str, customer: Person
) -> None:
    key = {"Idempotency-Key": "once-and-for-all"}
    project_id = await _executed_in_vain(doomed, customer, key["Idempotency-Key"])
    path = f"/projects/{project_id}/execute"
    problem = await customer.post(path, status=409, headers=key)
    assert problem["code"] == "idempotency_in_flight"
    async with stage.database() as database:
        leased = await database.fetchval(
            "UPDATE idempotency_keys SET lease_until = now() WHERE key = $1"
            " RETURNING extract(epoch FROM old.lease_until - now())",
            key["Idempotency-Key"],
        )
    assert 0 < leased <= 60
    before = len(stage.model.calls)
    run = await customer.post(path, status=202, headers=key)
    assert (await customer.post(path, status=202, headers=key))["id"] == run["id"]
    await stage.start("worker")
    case = Case(person=customer, project_id=project_id, run_id=run["id"], calls_before=before)
    await case.finished()
    await assert_exact(stage, case, expected)


@pytest.mark.parametrize("doomed", [Failpoint.EXECUTE_AFTER_COMMIT], indirect=True)
async def test_killed_before_it_answered_the_key_brings_the_answer(
    stage: Stage, expected: Undisturbed, doomed: str, customer: Person
) -> None:
    before = len(stage.model.calls)
    project_id = await _executed_in_vain(doomed, customer, "asked-again")
    run = await customer.post(
        f"/projects/{project_id}/execute", status=202, headers={"Idempotency-Key": "asked-again"}
    )
    (only,) = await stage.rows("SELECT id FROM runs WHERE project_id = $1", project_id)
    assert str(only["id"]) == run["id"]
    await stage.start("worker")
    case = Case(person=customer, project_id=project_id, run_id=run["id"], calls_before=before)
    await case.finished()
    await assert_exact(stage, case, expected)
