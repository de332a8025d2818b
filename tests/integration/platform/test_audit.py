"""The audit log over HTTP: what people did, told to them, to admins, and to nobody else."""

import csv
import io
import json
from typing import Any

import httpx

from entrypoints.cli.platform import Platform
from tests.integration.platform.operators import administrator, command
from tests.integration.platform.partner import partner_of, program
from tests.integration.platform.person import PASSWORD, Person


async def actions(person: Person, **query: Any) -> list[str]:
    page = await person.get("/account/audit", params=query)
    return [entry["action"] for entry in page["items"]]


async def test_a_person_reads_what_was_done_on_what_is_theirs(
    newcomer: Person, stranger: Person, client: httpx.AsyncClient
) -> None:
    credentials = {"email": newcomer.email, "password": "not the password at all"}
    assert (await client.post("/auth/login", json=credentials)).status_code == 401
    project = await newcomer.project()
    request = {"X-Request-Id": "deleting-it"}
    deleted = await newcomer.http.delete(f"/projects/{project['id']}", headers=request)
    assert deleted.status_code == 204

    assert await actions(newcomer) == [
        "project.deleted",
        "user.sign_in_failed",
        "user.signed_in",
        "user.registered",
    ]
    assert await actions(newcomer, action="user.signed_in") == ["user.signed_in"]
    assert await actions(newcomer, subject_id=project["id"]) == ["project.deleted"]
    newest, failed, *_ = (await newcomer.get("/account/audit"))["items"]
    assert (newest["actor"], newest["address"]) == ("person", "127.0.0.1")
    assert (newest["request_id"], newest["subject_id"]) == ("deleting-it", project["id"])
    assert newest["before"]["title"] == project["title"]
    assert failed["actor"] == "nobody"
    assert await actions(newcomer, since=newest["at"]) == ["project.deleted"]
    assert "project.deleted" not in await actions(stranger)


async def test_pages_and_files_have_every_entry_once(newcomer: Person) -> None:
    body = {"email": newcomer.email, "password": PASSWORD}
    for _ in range(3):
        await newcomer.post("/auth/login", status=200, json=body)
    pages, cursor = [], ""
    while cursor is not None:
        page = await newcomer.get("/account/audit", params={"limit": 2, "cursor": cursor})
        pages += page["items"]
        cursor = page["next_cursor"]
    assert len(pages) == 5
    lines = await newcomer.http.get("/account/audit/export", params={"format": "jsonl"})
    assert [json.loads(line) for line in lines.text.splitlines()] == pages
    file = await newcomer.http.get("/account/audit/export")
    assert file.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert file.headers["Content-Disposition"].startswith('attachment; filename="audit.csv"')
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [row["action"] for row in rows] == [entry["action"] for entry in pages]


async def test_admins_read_everybodys_and_others_their_own(
    platform: Platform, client: httpx.AsyncClient
) -> None:
    owner_url = platform.environment["DATABASE_OWNER_URL"]
    async with administrator(platform) as admin, partner_of(platform.url, owner_url) as partner:
        issued = await partner.issue()
        me = (await partner.get("/auth/me"))["user"]["id"]
        of_partner = await admin.get("/admin/audit", params={"user_id": me})
        newest, *_, role, _, _ = of_partner["items"]
        assert (newest["action"], newest["actor_id"]) == ("api_key.issued", me)
        assert newest["after"]["name"] == "a program"
        assert issued["secret"] not in json.dumps(of_partner)
        assert (role["action"], role["actor_name"]) == ("user.role_changed", "tests")
        assert (role["before"], role["after"]) == ({"role": "member"}, {"role": "partner"})
        (own,) = (await partner.get("/account/audit", params={"action": "user.role_changed"}))[
            "items"
        ]
        assert own["after"] == {"role": "partner"}

        status, said = await command(platform, "users", "grant-role", partner.email, "member")
        assert status == 0, said
        query = {"user_id": me, "action": "user.role_changed", "limit": 1}
        (by_operator,) = (await admin.get("/admin/audit", params=query))["items"]
        assert by_operator["actor"] == "operator" and by_operator["actor_name"]

        lines = await admin.http.get(
            "/admin/audit/export", params={"format": "jsonl", "user_id": me}
        )
        assert {json.loads(line)["user_id"] for line in lines.text.splitlines()} == {me}
        await partner.get("/admin/audit", status=403)
        async with program(platform.url, issued["secret"]) as keyed:
            for path in ("/account/audit", "/account/audit/export", "/admin/audit"):
                assert (await keyed.get(path)).status_code == 403, path
    assert (await client.get("/account/audit")).status_code == 401
