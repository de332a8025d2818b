"""The operators' page lists every setting with its default, and every command."""

import re
from pathlib import Path

import msgspec

from application.ports.language_model import FailureKind
from application.runs.circuit_policy import (
    AWAY_SHARE,
    PROVIDER_CIRCUIT,
    RUN_FAILURES,
    RUN_OPEN_SECONDS,
)
from application.runs.dispatch_runs import DEFER_SECONDS
from application.runs.execute_run import HEARTBEAT_SECONDS, LEASE_SECONDS
from application.runs.retry_policy import PARK_ABOVE_SECONDS, RULES
from application.runs.run_feed import POLL_SECONDS
from application.runs.run_graph import OUTAGE_PARK_SECONDS
from domain.projects.run import MAX_CLAIMS
from entrypoints.cli.main import main
from entrypoints.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs/operations.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = PAGE.split(f"\n{heading}\n", 1)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def shown(field: msgspec.structs.FieldInfo) -> str:
    """A setting's default as the page writes it."""
    if field.required:
        return "required"
    if field.default == "":
        return "empty"
    value = field.default
    return f"`{int(value) if isinstance(value, float) and value.is_integer() else value}`"


def test_every_setting_is_listed_with_its_default() -> None:
    expected = [
        (f"`{field.name.upper()}`", shown(field)) for field in msgspec.structs.fields(Settings)
    ]
    assert [(row[0], row[1]) for row in rows("## Settings")] == expected


def test_every_setting_has_a_meaning() -> None:
    assert all(len(row) == 3 and row[2] for row in rows("## Settings"))


def test_the_commands_by_hand_exist() -> None:
    named = re.findall(r"`bharatbuild ([a-z]+)`", PAGE)
    assert named
    assert set(named) <= set(main.commands)


def test_the_make_targets_named_exist() -> None:
    makefile = (Path(__file__).parents[3] / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)(?:`|  )", PAGE))
    assert named >= {"run", "compose-secrets"}
    assert named <= targets


def test_the_figures_are_the_codes() -> None:
    away = PAGE.split("\n## When a part is away\n")[1].split("\n## ")[0]
    assert f"up to {RULES[FailureKind.TRANSIENT].tries} times" in away
    assert f"overload up to {RULES[FailureKind.OVERLOADED].tries}," in away
    assert RULES[FailureKind.RATE_LIMITED].tries == RULES[FailureKind.OVERLOADED].tries
    assert (PARK_ABOVE_SECONDS, OUTAGE_PARK_SECONDS, DEFER_SECONDS) == (5, 5, 5)
    assert MAX_CLAIMS == 5
    assert (PROVIDER_CIRCUIT.failures, PROVIDER_CIRCUIT.open_seconds) == (4, 5)
    assert PROVIDER_CIRCUIT.cap_seconds == 120
    assert (RUN_FAILURES, RUN_OPEN_SECONDS, AWAY_SHARE) == (3, 15, 0.1)
    assert POLL_SECONDS == 2


def test_the_defaults_of_a_use_case_are_the_settings() -> None:
    defaults = {field.name: field.default for field in msgspec.structs.fields(Settings)}
    assert defaults["lease_seconds"] == LEASE_SECONDS
    assert defaults["heartbeat_seconds"] == HEARTBEAT_SECONDS
