"""The one settings class: read from the environment once, at start.

A setting's variable is its name in capitals. For every variable ``X`` the file named by
``X_FILE`` may hold the value instead, which keeps secrets out of process listings.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from application import failpoints
from application.billing.gstin import checked_gstin
from application.billing.issue_invoice import Terms
from domain.billing.parties import Supplier, check_state, clean_address, clean_party_name
from domain.billing.serials import check_prefix
from domain.identity.user import Role
from domain.keys.addresses import clean_networks
from domain.projects.run import DEFAULT_CAP_CREDITS
from domain.shared.errors import InvalidValue
from entrypoints.errors import OperatorError

Positive = Annotated[int, msgspec.Meta(gt=0)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
SAMPLE_SUPPLIER = Supplier(name="BharatBuild AI", address="Bengaluru", state="29", sample=True)
"""Who sells while the operator has not said who does: nobody that could."""

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class SettingsInvalid(OperatorError):
    """A setting is missing or does not fit; the message names its variable."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an operator can set.

    Times are seconds. ``starting_grant`` is in credits (₹0.01). Only the HTTP process signs,
    so only it needs ``jwt_signing_key``; nor does another need ``api_key_peppers``. HTTP and
    workers open secrets, so they need ``secret_box_keys``. Whatever ends in ``_per_minute`` or
    ``_per_day`` is a number of requests, unless it says tokens. ``public_url`` is where browsers
    reach this platform. ``supplier_…`` is who sells, as
    invoices name it.
    """

    environment: Literal["local", "production"] = "local"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    bharatbuild_failpoint: str = ""

    database_url: str
    database_dispatch_url: str
    database_pool_size: Positive = 10
    database_read_pool_size: Positive = 4
    redis_url: str
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    s3_bucket: str = "bharatbuild"
    s3_region: str = "us-east-1"

    jwt_signing_key: str = ""
    jwt_signing_key_file: str = ""
    jwt_verification_keys: str = ""
    jwt_issuer: str = "bharatbuild"
    jwt_audience: str = "bharatbuild-api"
    access_token_seconds: Annotated[int, msgspec.Meta(gt=0, le=3_600)] = 600
    api_key_peppers: str = ""

    public_url: str = ""
    google_client_id: str = ""
    google_client_secret: str = ""
    google_issuer: str = ""
    admin_second_factor: Literal["", "required", "optional"] = ""
    open_registration: bool = False
    smtp_host: str = ""
    smtp_port: Port = 587
    smtp_username: str = ""
    smtp_password: str = ""
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    mail_from: str = "BharatBuild AI <no-reply@localhost>"

    secret_box_keys: str = ""
    webhook_private_addresses: bool = False

    http_host: str = "127.0.0.1"
    http_port: Port = 8000
    http_server: Literal["granian", "uvicorn"] = "granian"
    http_max_body_bytes: Positive = 256 * 1024
    http_head_seconds: Annotated[float, msgspec.Meta(ge=1, le=60)] = 10.0
    http_body_seconds: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    http_handler_seconds: Annotated[float, msgspec.Meta(gt=0, le=40)] = 30.0
    http_idle_seconds: Annotated[float, msgspec.Meta(ge=1)] = 30.0
    http_connections: Positive = 4_096
    http_address_connections: Positive = 1_024
    http_requests: Positive = 1_024
    http_address_requests: Positive = 256
    http_sockets: Positive = 2_000
    http_address_sockets: Positive = 1_000
    http_hsts_seconds: NotNegative = 0
    allowed_origins: str = ""
    trusted_proxies: str = ""

    address_per_minute: Positive = 600
    unverified_per_minute: Positive = 60
    user_per_minute: Positive = 1_200
    key_per_minute: Positive = 600
    key_per_day: Positive = 100_000
    usage_stream_rows: Positive = 500_000
    usage_log_months: Positive = 13
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0

    worker_concurrency: Positive = 4
    runs_per_user: NotNegative = 0
    lease_seconds: Annotated[float, msgspec.Meta(gt=0)] = 15.0
    heartbeat_seconds: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    dispatch_seconds: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    sandbox_concurrency: Positive = 2

    anthropic_api_key: str = ""
    anthropic_base_url: str = ""
    model_cheap: str = ""
    model_default: str = ""
    model_strong: str = ""
    model_max_output_tokens: Positive = 32_000

    model_requests_per_minute: NotNegative = 0
    model_tokens_per_minute: NotNegative = 0

    supplier_name: str = ""
    supplier_address: str = ""
    supplier_state: str = ""
    supplier_gstin: str = ""
    supplier_undertaking: str = ""
    invoice_sac: str = "998314"
    gst_basis_points: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_800
    invoice_prefix: str = "BB"
    credit_note_prefix: str = "BC"
    payment_gateway: Literal["", "simulated", "razorpay"] = ""
    razorpay_key_id: str = ""
    razorpay_key_secret: str = ""
    razorpay_webhook_secret: str = ""
    razorpay_base_url: str = ""

    starting_grant: NotNegative = 50_000
    run_cap_credits: Positive = DEFAULT_CAP_CREDITS
    mending_run_credits: NotNegative = 20_000
    mending_day_credits: NotNegative = 60_000

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins whose pages may call: those allowed, and our own address."""
        listed = [origin.strip().rstrip("/") for origin in self.allowed_origins.split(",")]
        return tuple(origin for origin in listed if origin)

    @property
    def proxies(self) -> tuple[str, ...]:
        """Networks whose hosts are believed when they say on whose behalf they call."""
        return tuple(part.strip() for part in self.trusted_proxies.split(",") if part.strip())

    @property
    def address(self) -> str:
        """Where browsers reach us, without a path."""
        return self.public_url.rstrip("/") or f"http://{self.http_host}:{self.http_port}"

    @property
    def second_factor_for(self) -> frozenset[Role]:
        """The roles that can do nothing without a second factor.

        On a laptop none, unless it is asked for: whoever is an administrator there has the
        machine.
        """
        needed = self.admin_second_factor or (
            "optional" if self.environment == "local" else "required"
        )
        return frozenset({Role.ADMIN}) if needed == "required" else frozenset()

    @property
    def mailbox(self) -> bool:
        """Whether mail is shown here instead of sent: on a laptop, without a mail server."""
        return self.environment == "local" and not self.smtp_host

    @property
    def offline(self) -> bool:
        """Whether artifacts are composed by rules: no model provider is set."""
        return not self.anthropic_api_key

    @property
    def gateway(self) -> Literal["", "simulated", "razorpay"]:
        """Who takes payments: as set, else Razorpay with a key, else the local simulation."""
        if self.payment_gateway:
            return self.payment_gateway
        if self.razorpay_key_id:
            return "razorpay"
        return "simulated" if self.environment == "local" else ""


REQUIRED = tuple(field.name for field in msgspec.structs.fields(Settings) if field.required)


def load(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsInvalid: a variable is missing, a file unreadable, or a value does not fit.
    """
    values: dict[str, str] = {}
    for field in msgspec.structs.fields(Settings):
        value = read(environment, field.name.upper())
        if value is not None:
            values[field.name] = value
    missing = [name.upper() for name in REQUIRED if name not in values]
    if missing:
        raise SettingsInvalid(
            f"Not set: {', '.join(missing)}. Set them, or use 'bharatbuild up', which starts "
            "a local stack and sets them itself."
        )
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(f"A setting does not fit: {error}") from error
    for name in ("database_url", "database_dispatch_url"):
        if urlsplit(getattr(settings, name)).scheme != "postgresql":
            raise SettingsInvalid(f"{name.upper()} must begin with postgresql://")
    _check_failpoint(settings)
    _check_mail(settings)
    _check_gateway(settings)
    _check_sign_in(settings)
    # What does not fit is found at the start, not at a payment.
    if selling_terms(settings).supplier.sample and settings.environment != "local":
        _check_nothing_is_sold(settings)
    _check_origins(settings)
    _check_proxies(settings)
    if settings.webhook_private_addresses and settings.environment != "local":
        raise SettingsInvalid(
            "WEBHOOK_PRIVATE_ADDRESSES opens the inside of the network to whoever names it: it is "
            "for laptops alone."
        )
    return settings


def selling_terms(settings: Settings) -> Terms:
    """How the house sells. Without any supplier's particulars, documents are marked as samples.

    The code's default is 998314, information technology design and development, at 18 %
    (Notification 11/2017 – Central Tax (Rate), heading 9983): the operator's to confirm.

    Raises:
        SettingsInvalid: a particular is missing or does not fit.
    """
    given = (settings.supplier_name, settings.supplier_address, settings.supplier_gstin)
    try:
        terms = Terms(
            supplier=_supplier(settings) if any(given) else SAMPLE_SUPPLIER,
            sac=settings.invoice_sac,
            rate=settings.gst_basis_points,
            invoice_prefix=check_prefix("INVOICE_PREFIX", settings.invoice_prefix),
            credit_note_prefix=check_prefix("CREDIT_NOTE_PREFIX", settings.credit_note_prefix),
        )
    except InvalidValue as error:
        raise SettingsInvalid(f"{error.field}: {error.message}") from error
    if not re.fullmatch(r"99\d{4}", terms.sac, re.ASCII):
        raise SettingsInvalid("INVOICE_SAC: Give a services accounting code, 99 and four digits.")
    if terms.invoice_prefix == terms.credit_note_prefix:
        raise SettingsInvalid("CREDIT_NOTE_PREFIX: Use another prefix than INVOICE_PREFIX.")
    return terms


def _check_nothing_is_sold(settings: Settings) -> None:
    if settings.gateway:
        raise SettingsInvalid("Not set: SUPPLIER_NAME. Who takes payments says so on invoices.")


def _supplier(settings: Settings) -> Supplier:
    # Lines of an address stand one below another in a file, or between semicolons.
    address = clean_address("SUPPLIER_ADDRESS", settings.supplier_address.replace(";", "\n"))
    if not address:
        raise InvalidValue("SUPPLIER_ADDRESS", "Give the address that invoices should bear.")
    gstin = settings.supplier_gstin and checked_gstin("SUPPLIER_GSTIN", settings.supplier_gstin)
    state = check_state("SUPPLIER_STATE", settings.supplier_state or gstin[:2])
    if gstin and state != gstin[:2]:
        raise InvalidValue("SUPPLIER_STATE", f"SUPPLIER_GSTIN is of the state {gstin[:2]}.")
    return Supplier(
        name=clean_party_name("SUPPLIER_NAME", settings.supplier_name),
        address=address,
        state=state,
        gstin=gstin,
        undertaking=settings.supplier_undertaking.strip(),
    )


def _check_gateway(settings: Settings) -> None:
    if settings.gateway == "simulated" and settings.environment != "local":
        raise SettingsInvalid("PAYMENT_GATEWAY: the simulated gateway takes no money; it is local.")
    keys = ("razorpay_key_id", "razorpay_key_secret", "razorpay_webhook_secret")
    missing = [name.upper() for name in keys if not getattr(settings, name)]
    if settings.gateway == "razorpay" and missing:
        raise SettingsInvalid(f"Not set, and Razorpay needs them: {', '.join(missing)}.")


def _check_mail(settings: Settings) -> None:
    if settings.environment == "local":
        return
    if settings.open_registration:
        raise SettingsInvalid(
            "OPEN_REGISTRATION takes every address as its owner's: it is for laptops alone."
        )
    if settings.smtp_host and not settings.public_url:
        raise SettingsInvalid("Not set, and the links in mail need it: PUBLIC_URL.")
    if settings.smtp_tls == "none" and settings.smtp_password:
        raise SettingsInvalid("SMTP_TLS: a password is not sent without TLS.")


def _check_sign_in(settings: Settings) -> None:
    local = settings.environment == "local"
    for name in ("public_url", "google_issuer"):
        address = getattr(settings, name)
        parts = urlsplit(address)
        plain = {"https", "http"} if local else {"https"}
        if address and (parts.scheme not in plain or not parts.netloc or parts.query):
            raise SettingsInvalid(f"{name.upper()} must begin with https://, and be an address.")
    if urlsplit(settings.public_url).path not in ("", "/"):
        raise SettingsInvalid("PUBLIC_URL is where browsers reach us, without a path.")
    if bool(settings.google_client_id) != bool(settings.google_client_secret):
        raise SettingsInvalid("Set both GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET, or neither.")
    if settings.google_client_id and not settings.public_url and not local:
        raise SettingsInvalid("Not set, and Google sends browsers back to it: PUBLIC_URL.")
    if settings.admin_second_factor == "optional" and not local:
        raise SettingsInvalid(
            "ADMIN_SECOND_FACTOR: administrators need a second factor; without one it is local."
        )


def _check_origins(settings: Settings) -> None:
    # Compared as text with what browsers send, and let in with cookies.
    for origin in settings.origins:
        parts = urlsplit(origin)
        plain = {"https", "http"} if settings.environment == "local" else {"https"}
        if parts.scheme not in plain or origin != f"{parts.scheme}://{parts.netloc}".lower():
            raise SettingsInvalid(
                f"ALLOWED_ORIGINS: {origin!r} is no origin. Give addresses like "
                "https://app.example.com, without a path, one by one: neither * nor null."
            )


def _check_proxies(settings: Settings) -> None:
    try:
        networks = clean_networks(settings.proxies)
    except InvalidValue as error:
        raise SettingsInvalid(f"TRUSTED_PROXIES: {error.message}") from error
    if any(network.endswith("/0") for network in networks) and settings.environment != "local":
        raise SettingsInvalid(
            "TRUSTED_PROXIES: a network of everybody lets each caller write their own address. "
            "Give those of your proxies."
        )


def _check_failpoint(settings: Settings) -> None:
    if settings.bharatbuild_failpoint and settings.environment != "local":
        raise SettingsInvalid("BHARATBUILD_FAILPOINT kills the process: it is for tests alone.")
    try:
        failpoints.parse(settings.bharatbuild_failpoint)
    except ValueError as error:
        raise SettingsInvalid(f"BHARATBUILD_FAILPOINT: {error}") from error


def first_rate(environment: Mapping[str, str]) -> int | None:
    """``USD_INR_PAISE``: paise a US dollar, which a new database's first exchange rate says.

    Raises:
        SettingsInvalid: it is not a whole number of paise above 0.
    """
    value = read(environment, "USD_INR_PAISE")
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or int(value) == 0:
        raise SettingsInvalid("USD_INR_PAISE must be a whole number of paise, 1 or more.")
    return int(value)


def required(environment: Mapping[str, str], variable: str) -> str:
    """A variable's value, read as :func:`read` does, for a command that cannot do without.

    Raises:
        SettingsInvalid: it is not set.
    """
    value = read(environment, variable)
    if value is None:
        raise SettingsInvalid(f"Not set: {variable}.")
    return value


def read(environment: Mapping[str, str], variable: str) -> str | None:
    """A variable's value, or the content of the file its ``_FILE`` twin names.

    Raises:
        SettingsInvalid: both are set, or the file cannot be read.
    """
    value, path = environment.get(variable), environment.get(f"{variable}_FILE")
    if path is None:
        return value or None
    if value:
        raise SettingsInvalid(f"Both {variable} and {variable}_FILE are set; keep one.")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsInvalid(f"{variable}_FILE cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        # What it says would tell a byte of the secret.
        raise SettingsInvalid(f"{variable}_FILE cannot be read: it is not text.") from None
