"""Hostile text in every field of every operation: refused by name, or kept and shown harmlessly."""

import asyncio
import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from entrypoints.http.openapi.document import operations
from entrypoints.http.request_context import FITTING_ID
from tests.described import as_documented, document
from tests.integration.described.conftest import Laboratory, not_set_up, problem_of

TEXTS: Mapping[str, str] = {
    "sql": "1' UNION SELECT password_hash FROM users; DROP TABLE users; --",
    "template": "{{7*7}}${7*7}<%= 7*7 %>#{7*7}{% raw %}%s%n{0.__class__}",
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "header": "value\r\nSet-Cookie: hostile=1\r\n\r\nHTTP/1.1 200 OK",
    "path": "../../../..\\..\\etc/passwd",
    "zip slip": "code/../../../../root/.ssh/authorized_keys",
    "bidi": "abc\u202egnp.exe\u2066\u2069\u200b\ufeff",
    "normalisation": "\ufb01\u212b\u0041\u030a\u1e9b\u0323" + "Z" + "\u0301" * 60,
    "beyond the plane": "\U0001f4a9\U000e0041\U0010ffff\ufdd0",
    "control": "bell\x07escape\x1b[31mdelete\x7f\x85\u2028",
    "huge number": "9" * 400,
    "metadata address": "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "loopback": "https://127.0.0.1:6379/",
    "gopher": "gopher://127.0.0.1:6379/_FLUSHALL",
    "shell": "$(id) `id` | id ; id && id",
    "formula": '=HYPERLINK("http://example.com","x")+cmd|\' /C calc\'!A0',
    "long": "A" * 200_000,
    "blank": " \t\u3000 ",
}

NUL = "nul\x00byte"

NOT_TEXT: Mapping[str, Any] = {
    "deep list": json.loads("[" * 400 + "]" * 400),
    "deep object": json.loads('{"a":' * 400 + "1" + "}" * 400),
    "object": {"$gt": ""},
    "true": True,
}

NUMBERS = (
    -1,
    0,
    2**31,
    2**31 - 1,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    10**400,
)

MOMENTS: Mapping[str, str] = {
    "before the year 1 in UTC": "0001-01-01T00:00:00+14:00",
    "after the year 9999 in UTC": "9999-12-31T23:59:59-14:00",
    "the first": "0001-01-01T00:00:00Z",
    "the last": "9999-12-31T23:59:59.999999Z",
    "without an offset": "2026-12-01T09:00:00",
}

# Short enough to be sent whole before a refusal that does not wait for them.
RAW_BODIES: Mapping[str, bytes] = {
    "deep": b"[" * 40_000,
    "deep and closed": b'{"a":' * 6_000 + b"1" + b"}" * 6_000,
    "lone surrogate": b'"\\ud800"',
    "not UTF-8": b'{"a":"\xff\xfe"}',
    "overlong": b'{"a":"\xc0\xaf"}',
    "infinite": b'{"a":1e999999}',
    "long number": b'{"a":' + b"9" * 40_000 + b"}",
    "twice": b'{"a":1,"a":2}',
    "cut": b'{"a":',
    "form": b"a=1&b=2",
    "nothing": b"",
    "null": b"null",
    "list": b"[]",
    "bom": b"\xef\xbb\xbf{}",
}

NOT_LET_IN = {
    *("not_authenticated", "malformed_api_key", "invalid_api_key", "api_key_expired"),
    *("permission_denied", "insufficient_scope"),
}
"""What says that the caller was not let in, so that the field was not looked at."""

NOT_REACHED = "was not let in"

OF_CALLERS = ("user-", "key-", "address-", "unverified-", "credential-")
"""The limits of all requests; others hold up wrong proofs, and mail."""

BRINGING_BACK = asyncio.Lock()

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """One field of one operation, and a request that fits but for it."""

    operation: Mapping[str, Any]
    method: str
    path: str
    kind: str
    field: Path

    @property
    def name(self) -> str:
        return self.names[-1]

    @property
    def names(self) -> list[str]:
        return [each for each in self.field if isinstance(each, str)]


def followed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    for choice in ("oneOf", "anyOf", "allOf"):
        if choice in schema:
            return followed(next(each for each in schema[choice] if each.get("type") != "null"))
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return followed(document()["components"]["schemas"][name])
    return schema


def leaves(
    schema: Mapping[str, Any], within: Path = ()
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Where a body holds text or numbers, and what is said of them."""
    schema = followed(schema)
    if "properties" in schema:
        for field, of_field in schema["properties"].items():
            yield from leaves(of_field, (*within, field))
    elif schema.get("type") == "array":
        yield from leaves(schema["items"], (*within, 0))
    elif schema.get("type") in ("string", "integer", "number"):
        yield within, schema


def is_of(kind: str, schema: Mapping[str, Any]) -> bool:
    """Whether a value is ``text``, a ``number``, or text that is a ``moment``."""
    if kind == "moment":
        return schema.get("format") == "date-time"
    return (schema.get("type") == "string") == (kind == "text")


def places(kind: str) -> Iterator[Place]:
    """Every field of that kind: in bodies, queries, paths and headers."""
    for path, method, operation in operations(document()):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body:
            for field, of_field in leaves(body["schema"]):
                if is_of(kind, of_field):
                    yield Place(operation, method, path, "body", field)
        for parameter in operation["parameters"]:
            if "$ref" in parameter:
                continue
            if is_of(kind, followed(parameter["schema"])):
                yield Place(operation, method, path, parameter["in"], (parameter["name"],))


def is_keyed(place: Place) -> bool:
    """Whether a key may call the operation."""
    return any("api_key" in each for each in place.operation["security"])


def sent_as(place: Place, value: Any) -> Any:
    """The value as far as an address can be that long."""
    return value if place.kind == "body" else str(value)[:20_000]


def request_with(place: Place, value: Any, laboratory: Laboratory) -> dict[str, Any]:
    """The request that is right but for the value in that place."""
    # With a key where one may call: no operation but its own ends it.
    caller = laboratory.callers["admin's key" if is_keyed(place) else "admin"]
    headers = {"Content-Type": "application/json", **caller}
    query: dict[str, str] = {}
    url = place.path
    for parameter in place.operation["parameters"]:
        if parameter.get("in") == "path" and place.field != (parameter["name"],):
            known = laboratory.known.get(parameter["name"], parameter.get("example"))
            url = url.replace(f"{{{parameter['name']}}}", str(known))
        if parameter.get("in") == "query" and parameter.get("required"):
            query[parameter["name"]] = str(parameter["example"])
    content = place.operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    body = copy.deepcopy(content.get("example"))
    if place.kind == "body":
        holder = body
        for step in place.field[:-1]:
            holder = holder[step] if isinstance(step, int) else holder.setdefault(step, [None])
        holder[place.field[-1]] = value
    elif place.kind == "query":
        query[place.name] = sent_as(place, value)
    elif place.kind == "path":
        quoted = httpx.QueryParams({"x": sent_as(place, value)})
        url = url.replace(f"{{{place.name}}}", str(quoted)[2:].replace("+", "%20") or "%20")
    else:
        headers[place.name] = sent_as(place, value)
    request: dict[str, Any] = {"method": place.method, "url": url, "params": query}
    request["headers"] = {name: text.encode() for name, text in headers.items()}
    if body is not None:
        request["content"] = json.dumps(body).encode()
    return request


def too_many(answer: httpx.Response) -> bool:
    """Whether the laboratory itself asks too much."""
    return any(name.startswith(OF_CALLERS) for name in answer.json()["violated_policies"])


def complaint(place: Place, value: Any, answer: httpx.Response) -> str:
    """What is wrong with the answer, or nothing."""
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return "" if not_set_up(answer) else "broke"
    if answer.status_code == httpx.codes.BAD_REQUEST and not answer.content:
        return ""  # the server itself refused what is not HTTP
    if answer.headers.get("x-content-type-options") != "nosniff":
        return "may be sniffed"
    if "hostile" in answer.headers.get("set-cookie", ""):
        return "split the answer"
    code = answer.json().get("code") if answer.is_client_error else None
    if code in NOT_LET_IN or (code == "rate_limited" and too_many(answer)):
        return NOT_REACHED
    if code in ("invalid_value", "invalid_request"):
        said = " ".join(str(each["field"]) for each in answer.json()["errors"])
        if not any(str(step) in f"{said} {answer.json()['detail']}" for step in place.names):
            return "did not name the field"
    elif isinstance(value, str) and "\x00" in value and answer.is_success:
        return "took a NUL"
    return ""


def summary(faults: list[str], sent: int) -> str:
    """The faults, one of each place and kind first."""
    firsts = {fault.partition(") ")[0]: fault for fault in reversed(faults)}
    return f"{len(faults)} of {sent}:\n" + "\n".join(list(firsts.values())[:60]) + "\n"


async def answer_to(
    client: httpx.AsyncClient, place: Place, value: Any, laboratory: Laboratory
) -> httpx.Response:
    """The answer, of a caller whom no request before has ended."""
    for _ in range(2):
        answer = await client.request(**request_with(place, value, laboratory))
        out = answer.status_code == httpx.codes.UNAUTHORIZED and place.operation["security"]
        if not out or answer.json()["code"] != "not_authenticated":
            return answer
        async with BRINGING_BACK:
            await laboratory.bring_back("admin")
    return answer


async def wrong_answers(
    laboratory: Laboratory, kind: str, values: Mapping[str, Any], faults: list[str]
) -> int:
    """Send every value in every place of that kind; say what is wrong with the answers."""
    turn, sent, unreached = asyncio.Semaphore(8), 0, 0
    hooks = {"response": [as_documented]}
    async with httpx.AsyncClient(
        base_url=laboratory.url, trust_env=False, timeout=60, event_hooks=hooks
    ) as client:

        async def send(place: Place, name: str, value: Any) -> None:
            nonlocal sent, unreached
            where = f"{place.method} {place.path} {place.kind} {place.field} {name}"
            async with turn:
                try:
                    answer = await answer_to(client, place, value, laboratory)
                    found = complaint(place, value, answer)
                    shown = problem_of(answer)
                except httpx.LocalProtocolError:
                    return  # no client can send it
                except httpx.RemoteProtocolError as error:
                    found, shown = "hung up", str(error)
                except AssertionError as error:
                    found, shown = "is not documented", str(error)
            sent += 1
            if found == NOT_REACHED and not is_keyed(place):
                unreached += 1
            elif found:
                faults.append(f"{where}: {found}: {shown}")

        await asyncio.gather(
            *(send(place, name, value) for place in places(kind) for name, value in values.items())
        )
    # Operations of persons alone: wrong proofs end sessions and hold sign-ins up, as they should.
    assert unreached * 5 < sent, f"{unreached} of {sent} were not looked at"
    return sent


async def test_hostile_text_is_refused_by_name_or_kept_harmlessly(at_home: Laboratory) -> None:
    faults: list[str] = []
    sent = await wrong_answers(at_home, "text", TEXTS, faults)
    assert not faults, summary(faults, sent) + at_home.faults()
    assert sent > 1_000


async def test_a_hostile_id_of_a_request_is_replaced(at_home: Laboratory) -> None:
    async with httpx.AsyncClient(base_url=at_home.url, trust_env=False) as client:
        for text in (*TEXTS.values(), NUL):
            try:
                answer = await client.get(
                    "/health/live", headers=[(b"x-request-id", text.encode())]
                )
            except (httpx.LocalProtocolError, httpx.RemoteProtocolError):
                continue  # no client, or no server, takes such a header
            if answer.is_success:
                assert FITTING_ID.fullmatch(answer.headers["x-request-id"])
            assert "hostile" not in answer.headers.get("set-cookie", "")


async def test_a_nul_is_refused_by_name(at_home: Laboratory) -> None:
    faults: list[str] = []
    sent = await wrong_answers(at_home, "text", {"nul": NUL}, faults)
    assert not faults, summary(faults, sent) + at_home.faults()


async def test_what_is_no_text_is_refused_by_name(at_home: Laboratory) -> None:
    faults: list[str] = []
    sent = await wrong_answers(at_home, "text", NOT_TEXT, faults)
    assert not faults, summary(faults, sent) + at_home.faults()


async def test_numbers_out_of_all_bounds_are_refused_by_name_or_kept(at_home: Laboratory) -> None:
    faults: list[str] = []
    values = {str(number)[:24]: number for number in NUMBERS}
    sent = await wrong_answers(at_home, "number", values, faults)
    assert not faults, summary(faults, sent) + at_home.faults()


async def test_a_moment_that_cannot_be_kept_is_refused_by_name(at_home: Laboratory) -> None:
    faults: list[str] = []
    sent = await wrong_answers(at_home, "moment", MOMENTS, faults)
    assert not faults, summary(faults, sent) + at_home.faults()


@pytest.mark.parametrize("name", RAW_BODIES)
async def test_a_body_that_is_not_what_it_should_be_is_refused(
    at_home: Laboratory, name: str
) -> None:
    faults = []
    async with httpx.AsyncClient(
        base_url=at_home.url,
        trust_env=False,
        timeout=60,
        headers=at_home.callers["admin's key"],
        limits=httpx.Limits(max_keepalive_connections=0),
    ) as client:
        for path, method, operation in operations(document()):
            if "requestBody" not in operation:
                continue
            for parameter, known in at_home.known.items():
                path = path.replace(f"{{{parameter}}}", known)
            request = client.build_request(
                method,
                path.replace("{", "").replace("}", ""),
                content=RAW_BODIES[name],
                headers={"Content-Type": "application/json"},
            )
            try:
                answer = await client.send(request)
            except httpx.TransportError:
                # Who is refused before the body is read may find the line closed: the server
                # must be up, and nothing have gone wrong in it.
                assert (await client.get("/health/live")).is_success
                assert not at_home.faults()
                continue
            if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR and not not_set_up(answer):
                faults.append(f"{method} {path}: {problem_of(answer)}")
    assert not faults, "\n".join(faults) + at_home.faults()
