"""The audit finds what it is for, and never passes for one that was not made."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci/audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


audit = _module()

# In pieces, so that this file is not what is found.
SECRETS = {
    "Private Key": "-----BEGIN " + "PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n",
    "AWS Access Key": "AWS_ACCESS_KEY_ID=" + "AKIA" + "QWERTYUIOPASDFGH",
    "BharatBuild API key or webhook secret": "KEY = 'bb_" + "live_" + "9aZ" * 14 + "'",
    "Provider key": "ANTHROPIC_API_KEY=sk-" + "ant-api03-" + "aB3" * 12,
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found(kind: str, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text(f"debug = True\n{SECRETS[kind]}\n")
    found = audit.scanned(tmp_path, ["settings.py"])
    assert kind in found["settings.py"]


@pytest.mark.parametrize("text", ["bb_live_…", "KEY=$(field secret)", "bb_test_…", "sha256:0af1"])
def test_what_is_no_secret_is_not_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    assert audit.scanned(tmp_path, ["page.md"]) == {}


def test_an_accepted_place_does_not_excuse_another_secret_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "a.py").write_text(SECRETS["AWS Access Key"])
    subprocess.run(["git", "-C", str(tmp_path), "add", "a.py"], check=True)
    monkeypatch.setattr(audit, "ROOT", tmp_path)
    monkeypatch.setattr(audit, "ACCEPTED", tmp_path / "accepted.json")
    assert audit.secrets(accept=True) == 0
    assert audit.secrets() == 0
    (tmp_path / "a.py").write_text(SECRETS["AWS Access Key"].replace("QWERTY", "YTREWQ"))
    assert audit.secrets() == 1
    assert "SECRET a.py: AWS Access Key" in capsys.readouterr().out


def answering(monkeypatch: pytest.MonkeyPatch, canary: Any, rest: Any) -> None:
    """Have the vulnerability service answer so."""

    def run(command: list[str], **_: Any) -> Any:
        report = canary if "--no-deps" in command else rest
        return subprocess.CompletedProcess(command, 0, json.dumps({"dependencies": report}), "")

    monkeypatch.setattr(audit, "_pinned", lambda _: ["--no-deps"])
    monkeypatch.setattr(audit.subprocess, "run", run)


VULNS = [{"id": "PYSEC-1", "fix_versions": ["2.0"]}]
KNOWN = [{"name": "jinja2", "version": "2.10", "vulns": VULNS}]
CLEAN = [{"name": "litestar", "version": "2.25", "vulns": []}]
UNKNOWN = [{"name": "jinja2", "skip_reason": "not found"}]


@pytest.mark.parametrize("unreached", [UNKNOWN, CLEAN, []])
@pytest.mark.parametrize(("required", "status"), [("", 0), ("yes", 2)])
def test_a_service_that_is_not_reached_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    unreached: Any,
    required: str,
    status: int,
) -> None:
    monkeypatch.setenv("AUDIT_REQUIRED", required)
    answering(monkeypatch, canary=unreached, rest=CLEAN)
    assert audit.dependencies() == status
    said = capsys.readouterr().out
    assert "NOT AUDITED" in said
    assert "no known vulnerability" not in said


@pytest.mark.parametrize(
    ("rest", "status", "says"),
    [
        (CLEAN, 0, "no known vulnerability"),
        (CLEAN + KNOWN, 1, "VULNERABLE jinja2 2.10: PYSEC-1, mended in 2.0"),
        (CLEAN + UNKNOWN, 2, "NOT AUDITED: nothing is known of jinja2"),
    ],
)
def test_what_the_service_says_decides(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rest: Any,
    status: int,
    says: str,
) -> None:
    monkeypatch.setenv("AUDIT_REQUIRED", "yes")
    answering(monkeypatch, canary=KNOWN, rest=rest)
    assert audit.dependencies() == status
    assert says in capsys.readouterr().out


def test_the_command_says_how_it_is_called() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci/audit.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "secrets" in done.stderr
