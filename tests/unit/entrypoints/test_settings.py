"""Settings come from the environment, and what does not fit is named."""

from pathlib import Path

import pytest

from entrypoints.settings import REQUIRED, SettingsInvalid, load

GOOD = {
    "DATABASE_URL": "postgresql://a:b@localhost/c",
    "DATABASE_DISPATCH_URL": "postgresql://a:b@localhost/c",
    "REDIS_URL": "redis://localhost",
    "S3_ENDPOINT": "http://localhost:1",
    "S3_ACCESS_KEY": "key",
    "S3_SECRET_KEY": "secret",
}


def test_values_are_read_as_their_types() -> None:
    settings = load({**GOOD, "HTTP_PORT": "9000", "LEASE_SECONDS": "2.5"})
    assert (settings.http_port, settings.lease_seconds) == (9000, 2.5)


def test_what_is_missing_is_named_all_at_once() -> None:
    with pytest.raises(SettingsInvalid) as refusal:
        load({})
    for name in REQUIRED:
        assert name.upper() in str(refusal.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTP_PORT", "70000"),
        ("HTTP_PORT", "web"),
        ("ENVIRONMENT", "staging"),
        ("WORKER_CONCURRENCY", "0"),
        ("DATABASE_URL", "mysql://localhost"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"(?i){variable}"):
        load({**GOOD, variable: value})


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from the file\n")
    rest = {name: value for name, value in GOOD.items() if name != "S3_SECRET_KEY"}
    settings = load({**rest, "S3_SECRET_KEY_FILE": str(secret)})
    assert settings.s3_secret_key == "from the file"


def test_a_value_and_its_file_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="S3_SECRET_KEY_FILE"):
        load({**GOOD, "S3_SECRET_KEY_FILE": str(tmp_path / "secret")})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    rest = {name: value for name, value in GOOD.items() if name != "REDIS_URL"}
    with pytest.raises(SettingsInvalid, match="REDIS_URL_FILE"):
        load({**rest, "REDIS_URL_FILE": str(tmp_path / "nothing")})


def test_production_sends_no_webhooks_inside() -> None:
    open_ = {**GOOD, "WEBHOOK_PRIVATE_ADDRESSES": "true"}
    assert load(open_).webhook_private_addresses
    with pytest.raises(SettingsInvalid, match="WEBHOOK_PRIVATE_ADDRESSES"):
        load({**open_, "ENVIRONMENT": "production"})


def test_without_a_providers_key_the_offline_model_is_used() -> None:
    assert load(GOOD).offline
    assert not load({**GOOD, "ANTHROPIC_API_KEY": "sk"}).offline
