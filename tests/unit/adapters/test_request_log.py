"""The line of a request says what it did, in whichever form is wanted."""

import asyncio
import json

import pytest

from adapters.observability.request_log import WRITE_SECONDS, request_log


async def test_a_machine_reads_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    log = request_log("info", machine=True)
    log("GET", "/api/v1/projekte/ü\n", "an-id", 200, 1.5)
    log.flush()
    [line] = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "method": "GET",
        "path": "/api/v1/projekte/ü\n",
        "status": 200,
        "ms": 1.5,
        "event": "request",
        "request_id": "an-id",
        "level": "info",
        "logger": "http",
    }


async def test_lines_are_written_in_a_moment_by_themselves(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = request_log("info", machine=True)
    written = ""
    for path in ("/1", "/2", "/3"):
        log("GET", path, "an-id", 200, 1.5)
    while not written:
        await asyncio.sleep(WRITE_SECONDS)
        written = capsys.readouterr().err
    assert [json.loads(line)["path"] for line in written.splitlines()] == ["/1", "/2", "/3"]
    log("GET", "/4", "an-id", 200, 1.5)
    log.flush()
    log.flush()
    assert json.loads(capsys.readouterr().err)["path"] == "/4"


async def test_a_path_that_is_no_text_is_told_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = request_log("debug", machine=True)
    log("GET", "/\ud800", "an-id", 404, 0.1)
    log.flush()
    assert json.loads(capsys.readouterr().err)["path"] == "/\\ud800"


@pytest.mark.parametrize("machine", [True, False])
def test_nothing_is_written_where_only_warnings_are_wanted(
    capsys: pytest.CaptureFixture[str], machine: bool
) -> None:
    log = request_log("warning", machine=machine)
    log("GET", "/", "an-id", 200, 0.1)
    log.flush()
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""
