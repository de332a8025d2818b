"""The one settings class: read from the environment once, at start.

A setting's variable is its name in capitals. For every variable ``X`` the file named by
``X_FILE`` may hold the value instead, which keeps secrets out of process listings.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from application import failpoints
from entrypoints.errors import OperatorError

Positive = Annotated[int, msgspec.Meta(gt=0)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class SettingsInvalid(OperatorError):
    """A setting is missing or does not fit; the message names its variable."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an operator can set.

    Times are seconds. ``starting_grant`` is in credits (₹0.01); ``usd_inr_paise`` is the
    house's own conversion rate, in paise a US dollar, which the operator chooses. Only the
    HTTP process signs, so only it needs ``jwt_signing_key``; HTTP and workers open secrets, so
    they need ``secret_box_keys``.
    """

    environment: Literal["local", "production"] = "local"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    bharatbuild_failpoint: str = ""

    database_url: str
    database_dispatch_url: str
    database_pool_size: Positive = 10
    redis_url: str
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    s3_bucket: str = "bharatbuild"
    s3_region: str = "us-east-1"

    jwt_signing_key: str = ""
    jwt_verification_keys: str = ""
    jwt_issuer: str = "bharatbuild"
    jwt_audience: str = "bharatbuild-api"
    access_token_seconds: Positive = 600

    secret_box_keys: str = ""
    webhook_private_addresses: bool = False

    http_host: str = "127.0.0.1"
    http_port: Port = 8000
    http_server: Literal["granian", "uvicorn"] = "granian"
    http_max_body_bytes: Positive = 256 * 1024
    allowed_origins: str = ""
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0

    worker_concurrency: Positive = 4
    runs_per_user: NotNegative = 3
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

    starting_grant: NotNegative = 50_000
    usd_inr_paise: Positive = 9_000

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins whose pages may call: those allowed, and our own address."""
        listed = [origin.strip().rstrip("/") for origin in self.allowed_origins.split(",")]
        return tuple(origin for origin in listed if origin)

    @property
    def offline(self) -> bool:
        """Whether artifacts are composed by rules: no model provider is set."""
        return not self.anthropic_api_key


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
    if settings.webhook_private_addresses and settings.environment != "local":
        raise SettingsInvalid(
            "WEBHOOK_PRIVATE_ADDRESSES opens the inside of the network to whoever names it: it is "
            "for laptops alone."
        )
    return settings


def _check_failpoint(settings: Settings) -> None:
    if settings.bharatbuild_failpoint and settings.environment != "local":
        raise SettingsInvalid("BHARATBUILD_FAILPOINT kills the process: it is for tests alone.")
    try:
        failpoints.parse(settings.bharatbuild_failpoint)
    except ValueError as error:
        raise SettingsInvalid(f"BHARATBUILD_FAILPOINT: {error}") from error


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
        return Path(path).read_text().strip()
    except OSError as error:
        raise SettingsInvalid(f"{variable}_FILE cannot be read: {error.strerror}") from error
