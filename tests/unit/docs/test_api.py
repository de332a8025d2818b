"""The API page lists every route, code and kind of entry, and its shell blocks are well formed."""

import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from litestar.routes import WebSocketRoute

from application.webhooks.replay_deliveries import KEEP, MOST_AT_ONCE
from domain.shared.events import EventType
from domain.shared.ids import WebhookEventId
from domain.webhooks.endpoint import MAX_ENDPOINTS
from domain.webhooks.event import EVENT_TYPES
from domain.webhooks.schedule import (
    GIVE_UP_AFTER,
    GIVE_UP_EVENTS,
    JITTER,
    MAX_ATTEMPTS,
    RETRY_SECONDS,
)
from domain.webhooks.signature import secret_text, signed_headers
from entrypoints.http import run_stream
from entrypoints.http.problems import PROBLEMS
from tests.described import application

PAGE = (Path(__file__).parents[3] / "docs/api.md").read_text()


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]


def nameless(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def test_every_route_is_listed_and_no_other() -> None:
    served = {
        (method, nameless(route.path))
        for route in application().routes
        for method in (["WS"] if isinstance(route, WebSocketRoute) else route.methods)
        if method != "OPTIONS" and not route.path.startswith("/api/v1/schema")
    }
    listed = re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \|", section("Endpoints"), re.MULTILINE)
    assert {(method, nameless(path)) for method, path in listed} == served
    assert len(listed) == len(served)


def test_every_code_is_listed_with_its_status() -> None:
    listed = {
        (int(status), code)
        for status, codes in re.findall(r"^\| (\d{3}) \| (.+) \|$", section("Errors"), re.MULTILINE)
        for code in re.findall(r"`([a-z_]+)`", codes)
    }
    assert listed == {(kind.status, code) for code, kind in PROBLEMS.items()}


def test_every_kind_of_entry_is_listed() -> None:
    named = set(re.findall(r"`((?:run|step)\.[a-z_]+)`", section("The live stream")))
    assert named == {kind.value for kind in EventType} | {"step.progress"}


def test_every_close_code_is_listed() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d{4}) \|", section("The live stream"), re.M)}
    used = {value for name, value in vars(run_stream).items() if name.startswith("CLOSE_")}
    assert listed == used


def test_the_shell_blocks_can_be_parsed() -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 14
    done = subprocess.run(["bash", "-n"], input="\n".join(blocks), text=True, check=False)
    assert done.returncode == 0


def test_every_type_of_webhook_event_is_listed_with_what_it_says() -> None:
    listed = re.findall(r"^\| `([a-z_.]+)` \| (.+) \|$", section("Webhooks"), re.MULTILINE)
    assert {type_: says.partition(": `")[0] for type_, says in listed} == EVENT_TYPES


def test_the_waits_between_attempts_are_the_codes() -> None:
    assert "10 times in three days**: after 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 21" in PAGE
    hours = [2, 5, 10, 14, 20, 21]
    assert list(RETRY_SECONDS) == [5, 300, 1800, *(hour * 3600 for hour in hours)]
    assert (MAX_ATTEMPTS, JITTER, GIVE_UP_AFTER.days, GIVE_UP_EVENTS) == (10, 0.1, 5, 10)
    assert (MAX_ENDPOINTS, KEEP.days, MOST_AT_ONCE) == (10, 30, 1000)


def test_the_snippet_that_verifies_does() -> None:
    (snippet,) = re.findall(r"^```python\n(.*?)^```", section("Webhooks"), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(snippet, names)
    verify = names["verify"]
    event_id, now, body = WebhookEventId(uuid4()), datetime.now(UTC), '{"a":"₹"}'.encode()
    headers = signed_headers([b"n" * 32, b"o" * 32], event_id, now, body)
    assert verify(secret_text(b"n" * 32), headers, body)
    assert verify(secret_text(b"o" * 32), headers, body)
    assert not verify(secret_text(b"x" * 32), headers, body)
    assert not verify(secret_text(b"n" * 32), headers, body + b" ")
    assert not verify(secret_text(b"n" * 32), {**headers, "webhook-id": "another"}, body)
    late = signed_headers([b"n" * 32], event_id, now - timedelta(seconds=301), body)
    assert not verify(secret_text(b"n" * 32), late, body)
