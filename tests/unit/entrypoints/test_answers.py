"""What every answer says to a browser, and under which name a file is saved."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, get

from adapters.observability.request_log import request_log
from entrypoints.http.access import public
from entrypoints.http.attachments import attachment
from entrypoints.http.request_context import SECURITY_HEADERS, RequestContext


@get("/page", guards=[public])
async def page() -> str:
    return "a page"


def client(**options: int) -> httpx.AsyncClient:
    app = RequestContext(
        Litestar([page], openapi_config=None, logging_config=None),
        request_log("error", machine=True),
        **options,
    )
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # the same interface
    return httpx.AsyncClient(transport=transport, base_url="http://here")


@pytest.mark.parametrize("path", ["/page", "/nowhere"])
async def test_every_answer_keeps_browsers_from_making_more_of_it(path: str) -> None:
    async with client() as http:
        answer = await http.get(path)
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Strict-Transport-Security" not in answer.headers


async def test_behind_tls_browsers_are_told_to_stay_with_it() -> None:
    async with client(hsts_seconds=31_536_000) as http:
        answer = await http.get("/nowhere")
    expected = "max-age=31536000; includeSubDomains"
    assert answer.headers["Strict-Transport-Security"] == expected


@given(st.text(max_size=80))
def test_a_file_s_name_never_ends_its_header(name: str) -> None:
    value = attachment(name.encode("utf-8", "ignore").decode())["Content-Disposition"]
    kind, plain, spelled = value.split("; ")
    assert kind == "attachment"
    assert plain.startswith('filename="') and plain.endswith('"')
    quoted = plain.removeprefix('filename="')[:-1]
    assert quoted.isascii() and not set('"\\;\r\n') & set(quoted)
    assert spelled.startswith("filename*=UTF-8''") and spelled.isascii()
    assert not set('"; \r\n') & set(spelled)
