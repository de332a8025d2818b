"""Acts that are written down: which, on what, and what changed by it.

What is shown of a subject is a list of its fields, so a secret cannot get into the log by
being added to a class. An act is made by :func:`acted`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime
from enum import Enum, StrEnum
from types import MappingProxyType
from uuid import UUID

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
"""What JSON can say."""


class Subject(StrEnum):
    """What an act is on."""

    USER = "user"
    SESSION = "session"
    API_KEY = "api_key"
    WEBHOOK_ENDPOINT = "webhook_endpoint"
    PROJECT = "project"
    RUN = "run"
    SUBSCRIPTION = "subscription"
    SEAT = "seat"
    REFUND = "refund"
    PLAN = "plan"
    MODEL_PRICE = "model_price"
    EXCHANGE_RATE = "exchange_rate"
    COUPON = "coupon"
    ADJUSTMENT = "adjustment"
    GATEWAY_EVENT = "gateway_event"
    SECRETS = "secrets"


class AuditAction(StrEnum):
    """Everything that is written down, as ``subject.what_happened``."""

    REGISTERED = "user.registered"
    EMAIL_VERIFIED = "user.email_verified"
    EMAIL_CHANGED = "user.email_changed"
    PASSWORD_CHANGED = "user.password_changed"
    PASSWORD_RESET = "user.password_reset"
    ACCOUNT_DELETED = "user.account_deleted"
    EXPORTED = "user.exported"
    SIGNED_IN = "user.signed_in"
    SIGN_IN_FAILED = "user.sign_in_failed"
    SECOND_FACTOR_ENABLED = "user.second_factor_enabled"
    SECOND_FACTOR_REMOVED = "user.second_factor_removed"
    RECOVERY_CODES_REPLACED = "user.recovery_codes_replaced"
    RECOVERY_CODE_USED = "user.recovery_code_used"
    PROOF_FAILED = "user.proof_failed"
    SIGNED_OUT_EVERYWHERE = "user.signed_out_everywhere"
    IDENTITY_LINKED = "user.identity_linked"
    IDENTITY_UNLINKED = "user.identity_unlinked"
    ROLE_CHANGED = "user.role_changed"
    SUSPENDED = "user.suspended"
    REINSTATED = "user.reinstated"

    SIGNED_OUT = "session.signed_out"
    SESSION_REVOKED = "session.revoked"
    SESSION_PROVED = "session.proved"
    REFRESH_TOKEN_REUSED = "session.refresh_token_reused"

    KEY_ISSUED = "api_key.issued"
    KEY_EDITED = "api_key.edited"
    KEY_ROTATED = "api_key.rotated"
    KEY_REVOKED = "api_key.revoked"

    ENDPOINT_ADDED = "webhook_endpoint.added"
    ENDPOINT_EDITED = "webhook_endpoint.edited"
    ENDPOINT_SECRET_ROTATED = "webhook_endpoint.secret_rotated"
    ENDPOINT_DELETED = "webhook_endpoint.deleted"

    PROJECT_DELETED = "project.deleted"
    RUN_RETRIED = "run.retried"

    SUBSCRIPTION_STARTED = "subscription.started"
    SUBSCRIPTION_CHANGED = "subscription.changed"
    SUBSCRIPTION_CANCELLED = "subscription.cancelled"
    SUBSCRIPTION_PAUSED = "subscription.paused"
    SUBSCRIPTION_RESUMED = "subscription.resumed"
    SEAT_ASSIGNED = "seat.assigned"
    SEAT_WITHDRAWN = "seat.withdrawn"

    REFUND_REQUESTED = "refund.requested"
    REFUND_RETRIED = "refund.retried"
    PLAN_WRITTEN = "plan.written"
    PRICE_ADDED = "model_price.added"
    RATE_ADDED = "exchange_rate.added"
    COUPON_MADE = "coupon.made"
    COUPON_SWITCHED = "coupon.switched"
    GATEWAY_EVENT_RETRIED = "gateway_event.retried"

    ADJUSTMENT_PROPOSED = "adjustment.proposed"
    ADJUSTMENT_APPROVED = "adjustment.approved"
    ADJUSTMENT_REJECTED = "adjustment.rejected"

    SECRETS_RESEALED = "secrets.resealed"

    @property
    def subject(self) -> Subject:
        """What it is on."""
        return Subject(self.value.partition(".")[0])


SHOWN: Mapping[Subject, tuple[str, ...]] = MappingProxyType(
    {
        Subject.USER: ("email", "role", "is_active", "method", "reason"),
        Subject.SESSION: ("method", "reason"),
        Subject.API_KEY: (
            "name",
            "environment",
            "scopes",
            "modes",
            "allowed_ips",
            "limits",
            "credit_cap",
            "expires_at",
            "previous_until",
            "revoked_at",
        ),
        Subject.WEBHOOK_ENDPOINT: (
            "url",
            "description",
            "events",
            "disabled_reason",
            "previous_until",
        ),
        Subject.PROJECT: ("title", "mode", "status"),
        Subject.RUN: ("project_id", "retry_of", "cap_credits", "test"),
        Subject.SUBSCRIPTION: (
            "plan",
            "version",
            "seats",
            "status",
            "next_plan",
            "next_seats",
            "at_end",
            "trial",
        ),
        Subject.SEAT: ("number", "email", "subscription_id"),
        Subject.REFUND: ("payment_id", "amount_paise", "currency", "status", "reason", "attempt"),
        Subject.PLAN: (
            "code",
            "version",
            "name",
            "description",
            "price_paise",
            "credits",
            "concurrent_runs",
            "modes",
            "exports",
            "retention_days",
            "per_seat",
            "min_seats",
            "max_seats",
            "trial_days",
            "trial_credits",
            "on_sale",
        ),
        Subject.MODEL_PRICE: (
            "model",
            "valid_from",
            "prompt_up_to",
            "input",
            "output",
            "cache_write",
            "cache_write_1h",
            "cache_read",
            "source",
        ),
        Subject.EXCHANGE_RATE: ("paise_per_usd", "valid_from", "source"),
        Subject.COUPON: (
            "code",
            "percent",
            "fixed_paise",
            "minimum_paise",
            "purposes",
            "valid_from",
            "valid_until",
            "max_redemptions",
            "active",
        ),
        Subject.ADJUSTMENT: ("user_id", "credits", "reason", "status", "proposed_by"),
        Subject.GATEWAY_EVENT: ("status",),
        Subject.SECRETS: ("version", "count"),
    }
)
"""The fields of each subject that the log shows. What is not named here stays out of it.

Addresses are shown as :func:`hinted` and names of people not at all: the log only grows, and who
deletes their account is not to stay in it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something done: on which subject, with what changed of it, before and after."""

    action: AuditAction
    subject_id: str = ""
    before: Mapping[str, Plain] = field(default_factory=dict)
    after: Mapping[str, Plain] = field(default_factory=dict)


def acted(
    action: AuditAction, subject_id: object = "", *, before: object = None, after: object = None
) -> Act:
    """An act on a subject, as it was and as it is: a value with fields, or a mapping of them.

    Of both only the fields in :data:`SHOWN` are taken, and where there are both, only those
    that differ.

    Raises:
        ValueError: a mapping names a field that is not shown.
    """
    was, is_ = _shown(action.subject, before), _shown(action.subject, after)
    if before is not None and after is not None:
        changed = {name for name in was.keys() | is_.keys() if was.get(name) != is_.get(name)}
        was = {name: value for name, value in was.items() if name in changed}
        is_ = {name: value for name, value in is_.items() if name in changed}
    return Act(action=action, subject_id=str(subject_id), before=was, after=is_)


def _shown(subject: Subject, value: object) -> dict[str, Plain]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        hidden = set(value) - set(SHOWN[subject])
        if hidden:
            raise ValueError(f"not shown of a {subject}: {', '.join(sorted(hidden))}")
        return {str(name): _said(str(name), each) for name, each in value.items()}
    return {
        name: _said(name, getattr(value, name)) for name in SHOWN[subject] if hasattr(value, name)
    }


def _said(field: str, value: object) -> Plain:
    said = plain(value)
    return hinted(said) if field == "email" and isinstance(said, str) else said


def hinted(email: str) -> str:
    """What tells an address's owner which it was, and nobody else: ``a…@e….org``."""
    name, _, host = email.rpartition("@")
    first, dot, last = host.rpartition(".")
    return f"{name[:1]}…@{first[:1]}…{dot}{last}"


def plain(value: object) -> Plain:
    """A field's value as JSON can say it; sets in order, moments in ISO 8601.

    Raises:
        TypeError: it is of no such kind, bytes for one.
    """
    match value:
        case Enum():
            return plain(value.value)
        case None | bool() | int() | float() | str():
            return value
        case UUID():
            return str(value)
        case datetime() | date():
            return value.isoformat()
        case set() | frozenset():
            return sorted((plain(each) for each in value), key=str)
        case list() | tuple():
            return [plain(each) for each in value]
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    raise TypeError(f"the audit log cannot say a {type(value).__name__}")
