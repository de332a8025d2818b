"""A failpoint ends or stops its own process, at the right coming, and never in production."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from application.failpoints import Arming, Failpoint, arm, parse, reach
from entrypoints.settings import SettingsInvalid, load

_REQUIRED = {
    "DATABASE_URL": "postgresql://nowhere/none",
    "DATABASE_DISPATCH_URL": "postgresql://nowhere/none",
    "REDIS_URL": "redis://nowhere",
    "S3_ENDPOINT": "http://nowhere",
    "S3_ACCESS_KEY": "none",
    "S3_SECRET_KEY": "none",
}


def test_the_first_coming_and_sigkill_are_the_defaults() -> None:
    assert parse("after-claim") == Arming(Failpoint.AFTER_CLAIM, 1, signal.SIGKILL)
    assert parse("after-claim:3:stop") == Arming(Failpoint.AFTER_CLAIM, 3, signal.SIGSTOP)
    assert parse("") is None


@pytest.mark.parametrize(
    "text", ["nowhere", "after-claim:0", "after-claim:x", "after-claim:1:maim"]
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)
    with pytest.raises(SettingsInvalid, match="BHARATBUILD_FAILPOINT"):
        load({**_REQUIRED, "BHARATBUILD_FAILPOINT": text})


def test_production_refuses_a_failpoint() -> None:
    with pytest.raises(SettingsInvalid, match="for tests alone"):
        load(
            {**_REQUIRED, "ENVIRONMENT": "production", "BHARATBUILD_FAILPOINT": "after-claim"},
        )


def test_the_process_dies_at_the_coming_that_was_armed() -> None:
    program = (
        "from application.failpoints import Failpoint, arm, parse, reach\n"
        "arm(parse('after-open:2'))\n"
        "reach(Failpoint.AFTER_CLAIM)\n"
        "reach(Failpoint.AFTER_OPEN)\n"
        "print('alive', flush=True)\n"
        "reach(Failpoint.AFTER_OPEN)\n"
        "print('never')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, b"alive\n")


def test_a_place_that_is_not_armed_is_nothing() -> None:
    arm(None)
    for failpoint in Failpoint:
        reach(failpoint)


def test_every_place_is_one_where_a_test_has_a_process_end() -> None:
    tests = Path(__file__).parents[2] / "integration"
    told = "".join(path.read_text() for path in tests.rglob("test_*.py"))
    assert not [
        failpoint.name
        for failpoint in Failpoint
        if not re.search(rf'Failpoint\.{failpoint.name}\b|"{failpoint.value}"', told)
    ]
