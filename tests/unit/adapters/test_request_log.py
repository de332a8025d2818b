"""The line of a request says what it did, in whichever form is wanted."""

import json

import pytest

from adapters.observability.request_log import request_log


def test_a_machine_reads_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    request_log("info", machine=True)("GET", "/api/v1/projekte/ü\n", "an-id", 200, 1.5)
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


def test_a_path_that_is_no_text_is_told_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    request_log("debug", machine=True)("GET", "/\ud800", "an-id", 404, 0.1)
    assert json.loads(capsys.readouterr().err)["path"] == "/\\ud800"


@pytest.mark.parametrize("machine", [True, False])
def test_nothing_is_written_where_only_warnings_are_wanted(
    capsys: pytest.CaptureFixture[str], machine: bool
) -> None:
    request_log("warning", machine=machine)("GET", "/", "an-id", 200, 0.1)
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""
