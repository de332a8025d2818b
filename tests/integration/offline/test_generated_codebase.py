"""The composed codebase, run for real: its own tests, its start, its API and its pages."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.unit.offline.ideas import IDEAS
from tests.unit.offline.making import Made, make

BUILT = ("library", "warehouse", "hotel", "hostile")


@pytest.fixture(scope="module", params=BUILT)
def made(request: pytest.FixtureRequest) -> Made:
    return make(IDEAS[request.param])


@pytest.fixture(scope="module")
def folder(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("composed")
    for file in made.batch.files:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content, encoding="utf-8")
    return root


def bare_environment(**variables: str) -> dict[str, str]:
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **variables}


def test_its_own_tests_pass_without_a_warning(made: Made, folder: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "error", *made.plan.test[1:]],
        cwd=folder,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    assert "OK" in finished.stderr.splitlines()[-1]
    assert "Warning" not in finished.stderr


@dataclass(frozen=True)
class Running:
    """The started program, as its clients see it."""

    port: int
    process: subprocess.Popen[str]

    def send(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return response.status, response.read().decode()


@pytest.fixture
def running(made: Made, folder: Path, tmp_path: Path) -> Iterator[Running]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data = tmp_path / "data"
    process = subprocess.Popen(
        [sys.executable, *made.plan.start[1:]],
        cwd=folder,
        env=bare_environment(PORT=str(port), DATA_DIR=str(data)),
        stderr=subprocess.PIPE,
        text=True,
    )
    program = Running(port, process)
    try:
        wait_until_up(program, made.plan.probe_path)
        yield program
    finally:
        process.kill()
        process.communicate(timeout=10)
    assert (data / "app.sqlite3").exists()


def wait_until_up(program: Running, probe: str) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and program.process.poll() is None:
        with contextlib.suppress(ConnectionError):
            assert program.send("GET", probe)[0] == 200
            return
    pytest.fail("the program did not come up")


def test_it_keeps_what_the_api_is_given(made: Made, running: Running) -> None:
    status, text = running.send("GET", "/api")
    assert status == 200
    for address in json.loads(text).values():
        assert json.loads(running.send("GET", address)[1])["total"] == 0
        wrong = running.send(
            "POST", address, b'{"no_such_field": 1}', Content_Type="application/json"
        )
        assert wrong[0] == 422
        assert "no_such_field" in json.loads(wrong[1])["fields"]


def test_its_pages_show_every_entity(made: Made, running: Running) -> None:
    status, text = running.send("GET", "/")
    assert status == 200
    assert text.startswith("<!doctype html>")
    for entity in made.brief.entities:
        assert entity.plural in text
    assert "<script" not in text
    assert running.send("GET", "/static/style.css")[0] == 200


def test_it_stops_when_asked(running: Running) -> None:
    running.process.send_signal(signal.SIGTERM)
    _, log = running.process.communicate(timeout=15)
    assert running.process.returncode == 0
    assert "stopped" in log


@pytest.mark.parametrize("made", ["library"], indirect=True)
def test_a_loan_is_issued_and_returned_in_the_browser(running: Running) -> None:
    def submit(path: str, **values: object) -> tuple[int, str]:
        return running.send(
            "POST",
            path,
            urlencode(values).encode(),
            Content_Type="application/x-www-form-urlencoded",
            Origin=f"http://127.0.0.1:{running.port}",
        )

    assert submit("/members/new", name="Asha <Rao>", phone="98765 43210")[0] == 303
    assert submit("/books/new", title="Godan", author="Premchand", copies=1)[0] == 303
    days = {"issued_on": "2020-01-01", "due_on": "2020-01-15"}
    loan = {"book_id": 1, "member_id": 1, "status": "issued", **days}
    assert submit("/loans/new", **loan)[0] == 303
    assert submit("/loans/new", **loan)[0] == 409
    page = running.send("GET", "/loans/1")[1]
    assert "Asha &lt;Rao&gt;" in page
    assert "Overdue" in page
    assert submit("/loans/1/move", status="returned")[0] == 303
    assert "Overdue" not in running.send("GET", "/loans/1")[1]
    assert submit("/loans/1/move", status="issued")[0] == 409
    assert "Godan" in running.send("GET", "/members/1")[1]
