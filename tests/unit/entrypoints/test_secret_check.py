"""Production starts with secrets that are its own, and hidden; every finding says its remedy."""

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.security import generate_box_key, generate_pepper, generate_signing_key
from entrypoints import secret_check
from entrypoints.secret_check import (
    LEAST_BITS,
    LEAST_KEY_BITS,
    PROCESSES,
    SecretsUnsafe,
    examine,
    guessing_bits,
    refuse_unsafe,
)


def good() -> dict[str, str]:
    """Settings as an operator should have them, freshly made."""
    password = secrets.token_hex(16)
    return {
        "DATABASE_URL": f"postgresql://bb_app:{password}@postgres/bharatbuild",
        "DATABASE_DISPATCH_URL": f"postgresql://bb_dispatch:{password}@postgres/bharatbuild",
        "REDIS_URL": f"redis://:{password}@redis:6379/0",
        "S3_ENDPOINT": "http://s3:8333",
        "S3_ACCESS_KEY": secrets.token_hex(10),
        "S3_SECRET_KEY": secrets.token_urlsafe(24),
        "JWT_SIGNING_KEY": generate_signing_key()[1],
        "API_KEY_PEPPERS": generate_pepper(),
        "SECRET_BOX_KEYS": generate_box_key(),
    }


def found(environment: Mapping[str, str], process: str = "http") -> dict[str, bool]:
    """Which variables have a finding, and whether it refuses."""
    return {each.variable: each.refuses for each in examine(environment, process)}


@pytest.mark.parametrize("process", PROCESSES)
def test_settings_of_ones_own_pass(process: str) -> None:
    assert examine(good(), process) == []


@pytest.mark.parametrize("variable", sorted(good()))
def test_what_is_missing_is_refused(variable: str) -> None:
    settings = {name: value for name, value in good().items() if name != variable}
    assert found(settings) == {variable: True}


def test_only_http_needs_what_only_http_has() -> None:
    kept = {k: v for k, v in good().items() if k not in ("JWT_SIGNING_KEY", "API_KEY_PEPPERS")}
    assert found(kept, "worker") == found(kept, "dispatcher") == {}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "postgresql://postgres:postgres@localhost/bharatbuild"),
        ("DATABASE_URL", "postgresql://bb_app@localhost/bharatbuild"),
        ("DATABASE_URL", "postgresql://bb_app:k3Jz9q@localhost/bharatbuild"),
        ("DATABASE_DISPATCH_URL", "postgresql://b:change%2Dme-now-please@localhost/c"),
        ("REDIS_URL", "redis://:aaaaaaaaaaaaaaaaaaaaaaaa@localhost"),
        ("S3_ACCESS_KEY", "minioadmin"),
        ("S3_ACCESS_KEY", "AKIA" + "IOSFODNN7EXAMPLE"),
        ("S3_SECRET_KEY", "MinioAdmin"),
        ("S3_SECRET_KEY", "0123456789abcdef0123456789abcdef"),
        ("S3_SECRET_KEY", "changemechangeme"),
        ("S3_SECRET_KEY", "abcdefghijklmnopqrstuvwxyz"),
        ("JWT_SIGNING_KEY", "a key"),
        ("API_KEY_PEPPERS", "1:" + "ab" * 32),
        ("API_KEY_PEPPERS", "nothing"),
        ("SECRET_BOX_KEYS", "1:" + bytes(range(32)).hex()),
        ("SECRET_BOX_KEYS", generate_box_key() + " 2:" + "00" * 32),
        ("RAZORPAY_WEBHOOK_SECRET", "secret"),
        ("ANTHROPIC_API_KEY", "your-key-changeme"),
        ("SMTP_PASSWORD", "password"),
        ("PAYMENT_GATEWAY", "simulated"),
        ("BHARATBUILD_FAILPOINT", "after-claim"),
        ("WEBHOOK_PRIVATE_ADDRESSES", "true"),
        ("OPEN_REGISTRATION", "1"),
    ],
)
def test_defaults_examples_and_weak_values_are_refused_without_telling_them(
    variable: str, value: str
) -> None:
    findings = examine({**good(), variable: value}, "http")
    assert [(each.variable, each.refuses) for each in findings] == [(variable, True)]
    assert findings[0].remedy
    assert len(value) < 12 or value not in f"{findings[0].problem} {findings[0].remedy}"


@pytest.mark.parametrize(
    ("variable", "value", "warned"),
    [
        ("S3_ENDPOINT", "http://s3.ap-south-1.amazonaws.com", True),
        ("S3_ENDPOINT", "http://203.0.113.9:9000", False),  # documentation's: private to ipaddress
        ("S3_ENDPOINT", "http://8.8.8.8:9000", True),
        ("S3_ENDPOINT", "https://s3.ap-south-1.amazonaws.com", False),
        ("S3_ENDPOINT", "http://10.1.2.3:9000", False),
        ("REDIS_URL", "redis://cache.elsewhere.net", True),
        ("REDIS_URL", "redis://cache.internal", False),
        ("REDIS_URL", "redis://127.0.0.1:6379", False),
    ],
)
def test_open_ways_over_other_networks_are_warned_of(
    variable: str, value: str, *, warned: bool
) -> None:
    assert found({**good(), variable: value}) == ({variable: False} if warned else {})
    assert len(refuse_unsafe({**good(), variable: value}, "http")) == warned


def test_all_that_refuses_is_told_at_once() -> None:
    settings = {**good(), "S3_SECRET_KEY": "minioadmin", "BHARATBUILD_FAILPOINT": "after-claim"}
    with pytest.raises(SecretsUnsafe, match=r"(?s)S3_SECRET_KEY.*BHARATBUILD_FAILPOINT"):
        refuse_unsafe(settings, "http")


def test_what_else_production_refuses_is_told_too() -> None:
    (finding,) = examine({**good(), "SMTP_HOST": "mail"}, "http")
    assert "PUBLIC_URL" in finding.problem


def in_file(path: Path) -> dict[str, str]:
    settings = good()
    path.write_text(settings.pop("S3_SECRET_KEY"))
    return {**settings, "S3_SECRET_KEY_FILE": str(path)}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can enter; pytest's own are not."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o711)
        if not all(each.stat().st_mode & 0o001 for each in folder.resolve().parents):
            pytest.skip("temporary files are hidden from others here")
        yield folder


@pytest.mark.parametrize("mode", [0o444, 0o602])
def test_a_file_that_others_can_read_or_change_is_refused(open_folder: Path, mode: int) -> None:
    settings = in_file(open_folder / "secret")
    (open_folder / "secret").chmod(mode)
    assert found(settings) == {"S3_SECRET_KEY_FILE": True}


def test_a_file_in_a_folder_that_others_cannot_enter_is_hidden(open_folder: Path) -> None:
    folder = open_folder / "secrets"
    folder.mkdir(mode=0o700)
    settings = in_file(folder / "secret")
    (folder / "secret").chmod(0o444)
    assert found(settings) == {}


def test_a_link_is_judged_by_what_it_leads_to(open_folder: Path) -> None:
    settings = in_file(open_folder / "secret")
    (open_folder / "secret").chmod(0o600)
    (open_folder / "link").symlink_to(open_folder / "secret")
    assert found({**settings, "S3_SECRET_KEY_FILE": str(open_folder / "link")}) == {}


def test_what_a_container_was_given_is_its_own(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = in_file(open_folder / "secret")
    (open_folder / "secret").chmod(0o444)
    monkeypatch.setattr(secret_check, "MOUNTED", open_folder)
    assert found(settings) == {}


def test_a_file_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    settings = in_file(tmp_path / "secret")
    (tmp_path / "secret").unlink()
    assert found(settings) == {"S3_SECRET_KEY": True}


@given(st.binary(min_size=1, max_size=16), st.integers(2, 6))
def test_repeating_a_value_makes_it_no_harder_to_guess(unit: bytes, times: int) -> None:
    assert guessing_bits(unit * times) <= guessing_bits(unit) + 1e-9 or len(unit) * times == 1


@pytest.mark.parametrize("seed", range(200))
def test_random_values_pass(seed: int) -> None:
    random = Random(seed)
    assert guessing_bits(random.randbytes(32)) > LEAST_KEY_BITS
    assert guessing_bits(random.randbytes(10).hex().encode()) > LEAST_BITS
