"""What no field can be is refused before a handler sees it, and by the field's name."""

import json
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, post
from litestar.params import JSONBody

from domain.shared.errors import InvalidValue
from entrypoints.http.bodies import MAX_DEPTH, CheckedRequest, _too_deep, check_query
from entrypoints.http.problems import EXCEPTION_HANDLERS


@post("/", sync_to_thread=False)
def echo(data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
    return data


APP = Litestar(
    [echo],
    request_class=CheckedRequest,
    exception_handlers=EXCEPTION_HANDLERS,
    openapi_config=None,
    logging_config=None,
)


async def answer_to(body: bytes, content_type: str | None = "application/json") -> httpx.Response:
    transport = httpx.ASGITransport(app=APP)  # type: ignore[arg-type]  # Litestar's own scope
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        headers = {} if content_type is None else {"Content-Type": content_type}
        return await client.post("/", content=body, headers=headers)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"],
)
async def test_a_body_that_calls_itself_something_else_is_not_read(content_type: str) -> None:
    answer = await answer_to(b'{"a": 1}', content_type)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"],
)
async def test_a_body_that_calls_itself_json_or_nothing_is(content_type: str | None) -> None:
    answer = await answer_to(b'{"a": 1}', content_type)
    assert answer.json() == {"a": 1}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a\0"}, "name"),
        ({"a": {"b": ["fine", "\0"]}}, "a.b[1]"),
        ({"a": 2**63}, "a"),
        ({"a": [-(2**63) - 1]}, "a[0]"),
        ({"a": {"b\0": 1}}, "a"),
    ],
)
async def test_a_misfit_is_named(body: dict[str, Any], field: str) -> None:
    answer = await answer_to(json.dumps(body).encode())
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b"{",
    ],
)
async def test_what_is_not_json_is_said_to_be_none(body: bytes) -> None:
    answer = await answer_to(body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


async def test_what_fits_goes_through() -> None:
    body = {"a": [2**63 - 1, -(2**63), True, None, 1.5], "text": '\\u0000 "[{' * 100}
    answer = await answer_to(json.dumps(body).encode())
    assert answer.json() == body


@given(
    st.recursive(
        st.text(alphabet='[]{}"\\a', max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.text("[{", max_size=2), inner)
        ),
        max_leaves=20,
    ),
    st.integers(0, 2 * MAX_DEPTH),
)
def test_depth_is_that_of_the_nesting_and_not_of_text(inner: Any, around: int) -> None:
    def depth(value: Any) -> int:
        if isinstance(value, dict):
            value = list(value.values())
        elif not isinstance(value, list):
            return 0
        return 1 + max(map(depth, value), default=0)

    value = inner
    for _ in range(around):
        value = [value]
    assert _too_deep(msgspec.json.encode(value)) == (depth(value) > MAX_DEPTH)


def test_a_parameter_with_a_nul_is_named() -> None:
    check_query(b"search=%2500&x=1")
    with pytest.raises(InvalidValue) as refused:
        check_query(b"x=1&search=a%00b")
    assert refused.value.field == "search"
