"""An idea goes in, documents and verified code come out: the whole path on real parts."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from entrypoints.cli.platform import Platform
from tests.integration.platform.person import IDEA, Person

STEPS = ["idea", "srs", "prd", "code", "verify"]


@pytest.fixture(scope="module")
async def built(platform: Platform) -> Any:
    """A person, their project, and its finished run."""
    async with Person(platform.url) as person:
        project, detail = await person.executed()
        yield person, project, detail


async def test_the_run_succeeds_and_the_code_is_verified(built: Any) -> None:
    _, _, detail = built
    assert detail["run"]["status"] == "succeeded"
    assert detail["run"]["progress"] == 100
    tasks = {task["step"]: task for task in detail["tasks"]}
    assert sorted(tasks) == sorted(STEPS)
    assert tasks["verify"]["summary"].startswith("Verified: built, started, ")


async def test_an_offline_run_costs_nothing_and_says_how_it_was_made(built: Any) -> None:
    person, _, detail = built
    assert (detail["offline"], detail["credits"], detail["tokens_used"]) == (True, 0, 0)
    assert "without a language model" in detail["notice"]
    me = await person.get("/auth/me")
    assert (me["credits_available"], me["credits_reserved"]) == (50_000, 0)


async def test_the_log_is_whole_and_can_be_read_from_any_number(built: Any) -> None:
    person, _, detail = built
    run_id = detail["run"]["id"]
    page = await person.get(f"/runs/{run_id}/events")
    assert [entry["seq"] for entry in page["items"]] == list(range(1, page["last_event"] + 1))
    assert page["items"][-1]["type"] == "run.finished"
    rest = await person.get(f"/runs/{run_id}/events", params={"after": 3, "limit": 2})
    assert [entry["seq"] for entry in rest["items"]] == [4, 5]


async def test_documents_come_as_markdown_and_word_and_disclose_how_they_were_made(
    built: Any,
) -> None:
    person, project, _ = built
    listed = (await person.get(f"/projects/{project['id']}/documents"))["items"]
    kinds = {(document["type"], document["format"]) for document in listed}
    assert kinds == {
        (type_, format_)
        for type_ in ("idea_brief", "srs", "prd", "verification_report")
        for format_ in ("md", "docx")
    } | {("codebase", "json")}
    for document in listed:
        answer = await person.http.get(f"/documents/{document['id']}/download")
        assert answer.status_code == 200
        assert len(answer.content) == document["size"]
        assert answer.headers["content-disposition"].startswith("attachment;")
        if document["format"] == "md":
            assert "without a language model" in answer.text
        if document["format"] == "docx":
            with zipfile.ZipFile(io.BytesIO(answer.content)) as parts:
                ElementTree.fromstring(parts.read("word/document.xml"))


async def test_the_archive_unpacks_starts_and_passes_its_tests_elsewhere(
    built: Any, tmp_path: Path
) -> None:
    person, project, _ = built
    answer = await person.http.get(f"/projects/{project['id']}/archive")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    (code,) = tmp_path.glob("*/code")
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "discover", "-s", "tests", "-t", "."],
        cwd=code,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "OK" in done.stderr


async def test_executing_again_reuses_what_did_not_change(built: Any) -> None:
    person, project, _ = built
    run = await person.post(f"/projects/{project['id']}/execute", status=202)
    detail = await person.finished(run["id"])
    assert {task["status"] for task in detail["tasks"]} == {"reused"}
    assert detail["run"]["status"] == "succeeded"


async def test_a_second_run_is_refused_while_one_is_live_and_names_it(person: Person) -> None:
    project = await person.project()
    run = await person.post(f"/projects/{project['id']}/execute", status=202)
    again = await person.post(f"/projects/{project['id']}/execute", status=409)
    assert (again["code"], again["run_id"]) == ("run_in_progress", run["id"])
    for method in ("PATCH", "DELETE"):
        body = {"json": {"title": "Other"}} if method == "PATCH" else {}
        answer = await person.http.request(method, f"/projects/{project['id']}", **body)
        assert (answer.status_code, answer.json()["code"]) == (409, "project_busy")
    await person.finished(run["id"])


async def test_a_run_can_be_cancelled_and_executed_again(person: Person) -> None:
    project = await person.project()
    run = await person.post(f"/projects/{project['id']}/execute", status=202)
    await person.post(f"/runs/{run['id']}/cancel", status=202)
    detail = await person.finished(run["id"])
    assert detail["run"]["status"] == "cancelled"
    again = await person.post(f"/runs/{run['id']}/cancel", status=409)
    assert again["code"] == "run_not_live"
    run = await person.post(f"/projects/{project['id']}/execute", status=202)
    assert (await person.finished(run["id"]))["run"]["status"] == "succeeded"


async def test_what_is_anothers_is_not_found(built: Any, stranger: Person) -> None:
    person, project, detail = built
    documents = (await person.get(f"/projects/{project['id']}/documents"))["items"]
    run_id = detail["run"]["id"]
    paths = [
        ("GET", f"/projects/{project['id']}"),
        ("PATCH", f"/projects/{project['id']}"),
        ("DELETE", f"/projects/{project['id']}"),
        ("POST", f"/projects/{project['id']}/execute"),
        ("GET", f"/projects/{project['id']}/runs"),
        ("GET", f"/projects/{project['id']}/documents"),
        ("GET", f"/projects/{project['id']}/archive"),
        ("GET", f"/runs/{run_id}"),
        ("POST", f"/runs/{run_id}/cancel"),
        ("GET", f"/runs/{run_id}/events"),
        ("POST", f"/runs/{run_id}/stream-ticket"),
        ("GET", f"/documents/{documents[0]['id']}"),
        ("GET", f"/documents/{documents[0]['id']}/download"),
    ]
    for method, path in paths:
        body = {"json": {}} if method == "PATCH" else {}
        answer = await stranger.http.request(method, path, **body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path


async def test_a_deleted_project_is_gone_with_all_of_it(person: Person) -> None:
    project, detail = await person.executed(IDEA + " Each tool has a name and a daily fee.")
    documents = (await person.get(f"/projects/{project['id']}/documents"))["items"]
    answer = await person.http.delete(f"/projects/{project['id']}")
    assert answer.status_code == 204
    for path in (
        f"/projects/{project['id']}",
        f"/runs/{detail['run']['id']}",
        f"/documents/{documents[0]['id']}",
    ):
        await person.get(path, status=404)
