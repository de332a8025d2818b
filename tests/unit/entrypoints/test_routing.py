"""Our routes answer as Litestar's own do."""

from collections.abc import Callable
from typing import Any

import httpx
import litestar
import msgspec
import pytest
from litestar import Litestar, Response
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from domain.shared.errors import NotFound
from entrypoints.http import routing
from entrypoints.http.problems import EXCEPTION_HANDLERS


class Told(msgspec.Struct):
    word: str
    number: float


TOLD = Told(word="grüße", number=1.5)


def routes(get: Callable[..., Any], delete: Callable[..., Any], seen: list[str]) -> list[Any]:
    async def first(_: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        seen.append(f"first {handler.handler_name.rpartition('.')[2]}")

    def second(_: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        seen.append("second")

    @get("/struct", guards=[first, second])
    async def struct() -> Told:
        return TOLD

    @get("/accepted", status_code=202)
    async def accepted() -> Told:
        return TOLD

    @get("/list")
    async def several() -> list[Told]:
        return [TOLD, TOLD]

    @get("/headed", response_headers={"x-own": "yes"})
    async def headed() -> Told:
        return TOLD

    @get("/response")
    async def response() -> Response[Told]:
        return Response(TOLD, headers={"x-own": "yes"}, status_code=203)

    @get("/text", media_type="text/plain")
    async def text() -> str:
        return "words"

    @get("/missing")
    async def missing() -> Told:
        raise NotFound("project", "p-1")

    @delete("/struct")
    async def gone() -> None:
        return None

    return [struct, accepted, several, headed, response, text, missing, gone]


REQUESTS = [
    *(
        ("GET", path)
        for path in (
            "/struct",
            "/accepted",
            "/list",
            "/headed",
            "/response",
            "/text",
            "/missing",
            "/nowhere",
        )
    ),
    ("DELETE", "/struct"),
    ("PUT", "/struct"),
    ("OPTIONS", "/struct"),
]


def client(get: Callable[..., Any], delete: Callable[..., Any], seen: list[str]) -> Any:
    app = Litestar(
        routes(get, delete, seen),
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # the same interface
    return httpx.AsyncClient(transport=transport, base_url="http://here")


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_an_answer_is_the_one_that_litestar_gives(method: str, path: str) -> None:
    ours: list[str] = []
    theirs: list[str] = []
    async with client(routing.get, routing.delete, ours) as http:
        answer = await http.request(method, path)
    async with client(litestar.get, litestar.delete, theirs) as http:
        expected = await http.request(method, path)
    assert (answer.status_code, answer.content) == (expected.status_code, expected.content)
    assert dict(answer.headers) == dict(expected.headers)
    assert ours == theirs
    assert ours == (["first struct", "second"] if (method, path) == ("GET", "/struct") else [])
