"""A codebase is built, started and tested in the real sandbox, and told as it was."""

from dataclasses import replace
from typing import Any

import pytest

from adapters.sandbox import BubblewrapSandbox
from application.runs import verify_codebase
from application.runs.verify_codebase import run_checks
from domain.agents.artifacts import CheckName, CheckRun, Codebase, Language, SourceFile

APP = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["DATA_DIR"].encode()
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

def double(number):
    return number * 2

if __name__ == "__main__":
    http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
TESTS = '''
import unittest
from app import double

class DoubleTest(unittest.TestCase):
    def test_two(self):
        """FR-1: two is four."""
        self.assertEqual(double(2), 4)

    @unittest.skip("not here")
    def test_later(self):
        self.fail("never")
'''


def _codebase(app: str = APP, tests: str = TESTS) -> Codebase:
    def file(path: str, content: str, *, is_test: bool = False) -> SourceFile:
        return SourceFile(
            path=path,
            content=content,
            purpose="Needed.",
            requirement_ids=("FR-1",),
            symbols=(),
            is_test=is_test,
        )

    return Codebase(
        title="Doubler",
        language=Language.PYTHON,
        architecture="One file.",
        files=(
            file("app.py", app),
            file("tests/__init__.py", ""),
            file("tests/test_app.py", tests, is_test=True),
        ),
        start=("python3", "app.py"),
        test=("python3", "-m", "unittest", "discover", "-s", "tests", "-t", "."),
        probe_path="/health",
    )


@pytest.fixture(scope="module")
def sandbox() -> BubblewrapSandbox:
    return BubblewrapSandbox()


async def _checks(sandbox: BubblewrapSandbox, codebase: Codebase) -> dict[CheckName, CheckRun]:
    return {check.name: check for check in await run_checks(sandbox, codebase)}


async def test_what_works_passes_every_stage_and_counts_its_tests(
    sandbox: BubblewrapSandbox,
) -> None:
    checks = await _checks(sandbox, _codebase())
    assert [check.passed for check in checks.values()] == [True, True, True]
    cases = {case.id: case for case in checks[CheckName.TEST].tests}
    assert cases["tests.test_app.DoubleTest.test_two"].passed
    assert cases["tests.test_app.DoubleTest.test_later"].skipped


@pytest.mark.parametrize(
    ("changes", "stage", "evidence"),
    [
        ({"app": APP + "\ndef broken(:\n"}, CheckName.BUILD, "SyntaxError"),
        ({"app": "raise RuntimeError('no luck')"}, CheckName.START, "no luck"),
        ({"app": APP.replace("200 if", "503 if")}, CheckName.START, "answered 503"),
        ({"app": APP.replace("* 2", "* 3")}, CheckName.TEST, "6 != 4"),
        ({"tests": "import nothing_of_the_kind"}, CheckName.TEST, "nothing_of_the_kind"),
        ({"tests": ""}, CheckName.TEST, "Ran 0 tests"),
        ({"tests": "import os\nos._exit(0)"}, CheckName.TEST, ""),
    ],
)
async def test_what_fails_fails_at_its_stage_with_its_evidence(
    sandbox: BubblewrapSandbox,
    changes: dict[str, Any],
    stage: CheckName,
    evidence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verify_codebase, "START_SECONDS", 3)
    checks = await _checks(sandbox, _codebase(**changes))
    assert list(checks)[-1] is stage
    assert not checks[stage].passed
    assert evidence in checks[stage].output + " ".join(t.detail for t in checks[stage].tests)


async def test_a_failing_subtest_and_a_crash_are_failed_cases(sandbox: BubblewrapSandbox) -> None:
    tests = """
import unittest

class Test(unittest.TestCase):
    def test_parts(self):
        for part in (1, 2):
            with self.subTest(part=part):
                self.assertEqual(part, 1)

    def test_crash(self):
        raise OSError("gone")
"""
    checks = await _checks(sandbox, _codebase(tests=tests))
    failed = {case.id.rsplit(".", 1)[-1]: case for case in checks[CheckName.TEST].tests}
    assert not checks[CheckName.TEST].passed
    assert "gone" in failed["test_crash"].detail
    assert not failed["test_parts"].passed


async def test_a_program_that_never_ends_its_tests_is_stopped(
    sandbox: BubblewrapSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = dict(verify_codebase._LIMITS)
    limits[CheckName.TEST] = replace(limits[CheckName.TEST], wall_seconds=2)
    monkeypatch.setattr(verify_codebase, "_LIMITS", limits)
    endless = """
import time, unittest

class Test(unittest.TestCase):
    def test(self):
        time.sleep(60)
"""
    checks = await _checks(sandbox, _codebase(tests=endless))
    assert checks[CheckName.TEST].outcome == "timed_out"
    assert not checks[CheckName.TEST].passed
