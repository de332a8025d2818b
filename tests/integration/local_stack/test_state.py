"""What is remembered in stack.json, and who may read it."""

import json
import re
import stat
from dataclasses import asdict
from pathlib import Path

import pytest

from entrypoints.local_stack import StateUnreadable
from entrypoints.local_stack.credentials import load_or_create


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    load_or_create(tmp_path / "stack.json")
    assert stat.S_IMODE((tmp_path / "stack.json").stat().st_mode) == 0o600


def test_the_next_start_has_the_same_secrets_and_ports(tmp_path: Path) -> None:
    first = load_or_create(tmp_path / "stack.json")
    assert load_or_create(tmp_path / "stack.json") == first


def test_two_folders_share_no_secret_and_no_port_within_one_is_used_twice(tmp_path: Path) -> None:
    one, other = load_or_create(tmp_path / "1.json"), load_or_create(tmp_path / "2.json")
    secrets_of_both = [*asdict(one.secrets).values(), *asdict(other.secrets).values()]
    assert len(set(secrets_of_both)) == len(secrets_of_both)
    ports = list(asdict(one.ports).values())
    assert len(set(ports)) == len(ports)


def test_removed_ports_are_chosen_anew_and_remembered_and_secrets_stay(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    before = load_or_create(file)
    content = json.loads(file.read_text())
    del content["ports"]
    file.write_text(json.dumps(content))
    after = load_or_create(file)
    assert after.secrets == before.secrets
    assert load_or_create(file) == after


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    load_or_create(file)
    file.chmod(0o640)
    with pytest.raises(StateUnreadable, match="chmod 600"):
        load_or_create(file)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 1}', '{"version": 2, "secrets": {}}']
)
def test_a_damaged_file_is_refused_with_a_remedy_and_left_alone(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "stack.json"
    file.touch(mode=0o600)
    file.write_text(content)
    with pytest.raises(StateUnreadable, match="Restore"):
        load_or_create(file)
    assert file.read_text() == content


def test_no_secret_is_in_what_is_printed_of_it(tmp_path: Path) -> None:
    printed = repr(load_or_create(tmp_path / "stack.json"))
    assert not re.search(r"[0-9a-f]{20}", printed)
