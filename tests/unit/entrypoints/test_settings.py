"""Settings come from the environment, and what does not fit is named."""

from pathlib import Path

import pytest

from domain.billing.parties import Supplier
from domain.identity.user import Role
from entrypoints.settings import REQUIRED, SettingsInvalid, load, selling_terms

GOOD = {
    "DATABASE_URL": "postgresql://a:b@localhost/c",
    "DATABASE_DISPATCH_URL": "postgresql://a:b@localhost/c",
    "REDIS_URL": "redis://localhost",
    "S3_ENDPOINT": "http://localhost:1",
    "S3_ACCESS_KEY": "key",
    "S3_SECRET_KEY": "secret",
    "API_KEY_PEPPERS": "1:" + "ab" * 32,
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
        ("TRUSTED_PROXIES", "10.0.0.0/8, the proxy"),
        ("KEY_PER_DAY", "0"),
        ("ACCESS_TOKEN_SECONDS", "86400"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "https://app.example.com, null"),
        ("ALLOWED_ORIGINS", "https://*.example.com/path"),
        ("ALLOWED_ORIGINS", "app.example.com"),
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


def test_a_file_that_is_not_text_is_refused_without_a_word_of_it(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s3cret\xff")
    rest = {name: value for name, value in GOOD.items() if name != "S3_SECRET_KEY"}
    with pytest.raises(SettingsInvalid, match="S3_SECRET_KEY_FILE") as refusal:
        load({**rest, "S3_SECRET_KEY_FILE": str(secret)})
    assert "0xff" not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_a_value_and_its_file_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="S3_SECRET_KEY_FILE"):
        load({**GOOD, "S3_SECRET_KEY_FILE": str(tmp_path / "secret")})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    rest = {name: value for name, value in GOOD.items() if name != "REDIS_URL"}
    with pytest.raises(SettingsInvalid, match="REDIS_URL_FILE"):
        load({**rest, "REDIS_URL_FILE": str(tmp_path / "nothing")})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALLOWED_ORIGINS", "http://app.example.com"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, ::/0"),
    ],
)
def test_production_lets_nobody_on_the_way_speak_for_others(variable: str, value: str) -> None:
    open_ = {**GOOD, variable: value}
    load(open_)
    with pytest.raises(SettingsInvalid, match=variable):
        load({**open_, "ENVIRONMENT": "production"})


def test_production_sends_no_webhooks_inside() -> None:
    open_ = {**GOOD, "WEBHOOK_PRIVATE_ADDRESSES": "true"}
    assert load(open_).webhook_private_addresses
    with pytest.raises(SettingsInvalid, match="WEBHOOK_PRIVATE_ADDRESSES"):
        load({**open_, "ENVIRONMENT": "production"})


def test_without_a_providers_key_the_offline_model_is_used() -> None:
    assert load(GOOD).offline
    assert not load({**GOOD, "ANTHROPIC_API_KEY": "sk"}).offline


SUPPLIER = {
    "SUPPLIER_NAME": "BharatBuild Technologies Private Limited",
    "SUPPLIER_ADDRESS": "12 Residency Road; Bengaluru 560025",
    "SUPPLIER_GSTIN": "29AAGCB7383J1Z4",
}


def test_without_a_supplier_documents_are_samples() -> None:
    assert selling_terms(load(GOOD)).supplier.sample


def test_a_supplier_is_read_with_the_state_of_its_gstin() -> None:
    terms = selling_terms(load({**GOOD, **SUPPLIER, "SUPPLIER_UNDERTAKING": " AD29 "}))
    assert terms.supplier == Supplier(
        name="BharatBuild Technologies Private Limited",
        address="12 Residency Road\nBengaluru 560025",
        state="29",
        gstin="29AAGCB7383J1Z4",
        undertaking="AD29",
    )
    assert (terms.sac, terms.rate) == ("998314", 1_800)


def test_a_supplier_without_a_gstin_is_not_registered() -> None:
    supplier = selling_terms(
        load({**GOOD, **SUPPLIER, "SUPPLIER_GSTIN": "", "SUPPLIER_STATE": "29"})
    ).supplier
    assert not supplier.registered


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"SUPPLIER_NAME": ""}, "SUPPLIER_NAME"),
        ({"SUPPLIER_ADDRESS": ""}, "SUPPLIER_ADDRESS"),
        ({"SUPPLIER_GSTIN": "29AAGCB7383J1Z5"}, "SUPPLIER_GSTIN"),
        ({"SUPPLIER_GSTIN": ""}, "SUPPLIER_STATE"),
        ({"SUPPLIER_STATE": "27"}, "SUPPLIER_STATE"),
        ({"INVOICE_SAC": "8471"}, "INVOICE_SAC"),
        ({"GST_BASIS_POINTS": "10001"}, "GST_BASIS_POINTS"),
        ({"INVOICE_PREFIX": "BHARAT"}, "INVOICE_PREFIX"),
        ({"CREDIT_NOTE_PREFIX": "c/"}, "CREDIT_NOTE_PREFIX"),
        ({"CREDIT_NOTE_PREFIX": "BB"}, "CREDIT_NOTE_PREFIX"),
    ],
)
def test_a_suppliers_particulars_that_do_not_fit_stop_the_start(
    changes: dict[str, str], variable: str
) -> None:
    with pytest.raises(SettingsInvalid, match=f"(?i){variable}"):
        load({**GOOD, **SUPPLIER, **changes})


RAZORPAY = {
    "RAZORPAY_KEY_ID": "rzp_test_1",
    "RAZORPAY_KEY_SECRET": "secret",
    "RAZORPAY_WEBHOOK_SECRET": "another",
}
PRODUCTION = {**GOOD, "ENVIRONMENT": "production"}


@pytest.mark.parametrize(
    ("environment", "gateway"),
    [
        (GOOD, "simulated"),
        (PRODUCTION, ""),
        ({**GOOD, **RAZORPAY}, "razorpay"),
        ({**PRODUCTION, **RAZORPAY, **SUPPLIER}, "razorpay"),
        ({**GOOD, **RAZORPAY, "PAYMENT_GATEWAY": "simulated"}, "simulated"),
    ],
)
def test_who_takes_payments(environment: dict[str, str], gateway: str) -> None:
    assert load(environment).gateway == gateway


def test_production_refuses_the_simulated_gateway() -> None:
    with pytest.raises(SettingsInvalid, match="PAYMENT_GATEWAY"):
        load({**PRODUCTION, "PAYMENT_GATEWAY": "simulated"})


@pytest.mark.parametrize("missing", sorted(set(RAZORPAY) - {"RAZORPAY_KEY_ID"}))
def test_half_of_razorpays_keys_are_refused(missing: str) -> None:
    keys = {name: value for name, value in RAZORPAY.items() if name != missing}
    with pytest.raises(SettingsInvalid, match=missing):
        load({**PRODUCTION, **keys})


def test_nobody_sells_for_money_without_saying_who_they_are() -> None:
    with pytest.raises(SettingsInvalid, match="SUPPLIER_NAME"):
        load({**PRODUCTION, **RAZORPAY})


PRODUCTION = {**GOOD, "ENVIRONMENT": "production"}


def test_administrators_need_a_second_factor_but_on_a_laptop() -> None:
    assert load(GOOD).second_factor_for == frozenset()
    asked = load({**GOOD, "ADMIN_SECOND_FACTOR": "required"})
    assert asked.second_factor_for == load(PRODUCTION).second_factor_for == {Role.ADMIN}
    with pytest.raises(SettingsInvalid, match="ADMIN_SECOND_FACTOR"):
        load({**PRODUCTION, "ADMIN_SECOND_FACTOR": "optional"})


GOOGLE = {"GOOGLE_CLIENT_ID": "client", "GOOGLE_CLIENT_SECRET": "secret"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"GOOGLE_CLIENT_ID": "client"}, "GOOGLE_CLIENT_SECRET"),
        ({"GOOGLE_CLIENT_SECRET": "secret"}, "GOOGLE_CLIENT_ID"),
        (GOOGLE, "PUBLIC_URL"),
        ({**GOOGLE, "PUBLIC_URL": "http://bharatbuild.example"}, "PUBLIC_URL"),
        ({**GOOGLE, "PUBLIC_URL": "https://bharatbuild.example/app"}, "PUBLIC_URL"),
        ({**GOOGLE, "PUBLIC_URL": "bharatbuild.example"}, "PUBLIC_URL"),
        (
            {
                **GOOGLE,
                "PUBLIC_URL": "https://bharatbuild.example",
                "GOOGLE_ISSUER": "http://127.0.0.1:9",
            },
            "GOOGLE_ISSUER",
        ),
    ],
)
def test_half_a_provider_is_none(changes: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsInvalid, match=named):
        load({**PRODUCTION, **changes})


def test_browsers_come_back_to_where_they_reach_us() -> None:
    asked = load({**PRODUCTION, **GOOGLE, "PUBLIC_URL": "https://bharatbuild.example/"})
    assert asked.address == "https://bharatbuild.example"
    assert load(GOOD).address == "http://127.0.0.1:8000"
