"""Admins: what they do to others holds at once, and money takes two of them."""

import asyncio
import csv
import io
import json
import re
import time
from pathlib import Path

from entrypoints.cli.platform import Platform
from tests.integration.platform.operators import administrator, command, in_process
from tests.integration.platform.partner import partner_of, program
from tests.integration.platform.person import PASSWORD, Person


async def test_what_an_admin_does_to_somebody_holds_for_their_keys_at_once(
    platform: Platform,
) -> None:
    owner_url = platform.environment["DATABASE_OWNER_URL"]
    async with administrator(platform) as admin, partner_of(platform.url, owner_url) as partner:
        issued = await partner.issue()
        me = (await partner.get("/auth/me"))["user"]["id"]
        async with program(platform.url, issued["secret"]) as keyed:

            async def answers(status: int) -> None:
                until = time.monotonic() + 60
                while (await keyed.get("/auth/me")).status_code != status:
                    assert time.monotonic() < until, f"a key's calls are not answered {status}"
                    await asyncio.sleep(0.02)

            await answers(200)
            path = f"/admin/users/{me}"
            refused = await admin.post(f"{path}/suspend", status=422, json={"reason": ""})
            assert refused["code"] == "invalid_value"
            suspended = await admin.post(f"{path}/suspend", status=200, json={"reason": "abuse"})
            assert suspended["is_active"] is False
            await answers(401)
            await partner.get("/auth/me", status=401)
            query = {"search": partner.email.upper(), "is_active": False}
            (found,) = (await admin.get("/admin/users", params=query))["items"]
            assert (found["id"], found["role"]) == (me, "partner")
            await admin.post(f"{path}/reinstate", status=200, json={"reason": "a mix-up"})
            await answers(200)
            # The sessions that were ended stay so.
            await partner.get("/auth/me", status=401)
        async with Person(platform.url) as member:
            await member.get("/admin/users", status=403)
            await member.post(f"{path}/suspend", status=403, json={"reason": "mine"})


async def test_an_operator_suspends_and_reinstates_at_the_command_line(
    platform: Platform, newcomer: Person
) -> None:
    async with administrator(platform) as admin:
        me = (await newcomer.get("/auth/me"))["user"]["id"]
        runs = await admin.get(f"/admin/users/{me}/runs")
        assert runs == {"items": [], "next_cursor": None}
        project = await newcomer.project()
        run = await newcomer.post(f"/projects/{project['id']}/execute", status=202)
        (seen,) = (await admin.get(f"/admin/users/{me}/runs"))["items"]
        assert (seen["id"], seen["user_id"]) == (run["id"], me)
        ended = await newcomer.finished(run["id"])
        of_status = {
            status: (await admin.get(f"/admin/users/{me}/runs", params={"status": status}))["items"]
            for status in (ended["run"]["status"], "queued")
        }
        assert [len(items) for items in of_status.values()] == [1, 0]
        await admin.get(f"/admin/users/{'0' * 8}-0000-7000-8000-{'0' * 12}/runs", status=404)
        await newcomer.get(f"/admin/users/{me}/runs", status=403)

        status, said = await in_process(
            platform, "users", "suspend", newcomer.email, "--reason", "abuse"
        )
        assert (status, "from now on" in said) == (0, True), said
        await newcomer.get("/auth/me", status=401)
        status, said = await in_process(
            platform, "users", "list", "--suspended", "--search", newcomer.email
        )
        assert (status, newcomer.email in said, "suspended" in said) == (0, True, True), said
        status, said = await in_process(
            platform, "users", "reinstate", newcomer.email, "--reason", "a mix-up"
        )
        assert status == 0, said
        body = {"email": newcomer.email, "password": PASSWORD}
        await newcomer.post("/auth/login", status=200, json=body)
        status, said = await in_process(
            platform, "users", "suspend", "nobody@example.org", "--reason", "x"
        )
        assert (status, "nobody@example.org" in said) == (2, True)

        status, said = await in_process(
            platform, "audit", "list", "--email", newcomer.email, "--limit", "3"
        )
        assert status == 0, said
        acts = [line.split()[2] for line in said.splitlines()]
        assert acts == ["user.signed_in", "user.reinstated", "user.suspended"]
        status, said = await in_process(
            *(platform, "audit", "export", "--format", "jsonl", "--user-id", me),
            *("--action", "user.suspended"),
        )
        (line,) = [json.loads(each) for each in said.splitlines()]
        assert (line["actor"], line["after"]["reason"]) == ("operator", "abuse")


async def test_an_operator_exports_the_audit_log_to_a_file_of_their_own(
    platform: Platform, newcomer: Person, tmp_path: Path
) -> None:
    file = tmp_path / "audit.csv"
    arguments = ("--email", newcomer.email, "--output", str(file))
    status, said = await in_process(platform, "audit", "export", *arguments)
    assert (status, said) == (0, "")
    assert file.stat().st_mode & 0o077 == 0
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert [row["action"] for row in rows] == ["user.signed_in", "user.registered"]
    assert newcomer.email not in file.read_text()
    status, said = await in_process(platform, "audit", "list", "--since", "yesterday")
    assert (status, "no moment" in said) == (2, True)


async def test_nobody_changes_their_own_role_and_an_unknown_person_is_not_found(
    platform: Platform, newcomer: Person
) -> None:
    async with administrator(platform) as admin:
        me = (await admin.get("/auth/me"))["user"]["id"]
        answer = await admin.http.put(f"/admin/users/{me}/role", json={"role": "member"})
        assert (answer.status_code, answer.json()["code"]) == (409, "own_standing")
        nobody = f"/admin/users/{'0' * 8}-0000-7000-8000-{'0' * 12}"
        await admin.get(nobody, status=404)
        other = (await newcomer.get("/auth/me"))["user"]["id"]
        answer = await admin.http.put(f"/admin/users/{other}/role", json={"role": "partner"})
        assert answer.json()["role"] == "partner"
        changed = await newcomer.get("/account/audit", params={"action": "user.role_changed"})
        (entry,) = changed["items"]
        assert (entry["actor"], entry["address"]) == ("operator", "")


async def test_credits_are_adjusted_by_two(platform: Platform, newcomer: Person) -> None:
    user_id = (await newcomer.get("/auth/me"))["user"]["id"]
    free = (await newcomer.get("/billing/balance"))["available"]
    async with administrator(platform) as one, administrator(platform) as other:
        body = {"user_id": user_id, "credits": -1_000, "reason": "Granted twice."}
        proposed = await one.post("/admin/adjustments", json=body)
        path = f"/admin/adjustments/{proposed['id']}"
        own = await one.post(f"{path}/approve", status=403)
        assert own["code"] == "own_proposal"
        assert (await newcomer.get("/billing/balance"))["available"] == free
        answers = await asyncio.gather(*(other.http.post(f"{path}/approve") for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
        assert (await newcomer.get("/billing/balance"))["available"] == free - 1_000
        listed = await other.get("/admin/adjustments", params={"status": "approved", "limit": 1})
        assert listed["items"][0]["id"] == proposed["id"]
    _, said = await command(platform, "ledger", "verify")
    # Of invoices nothing is asked here: others keep some that belong to no order.
    for check in ("entries", "balances", "lots", "grants", "holds", "receivables"):
        assert re.search(rf"^{check} +[0-9]+  all:", said, re.MULTILINE), said
