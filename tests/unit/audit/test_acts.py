"""What an act shows of its subject: fields that are listed, that exist, and no secret."""

from datetime import UTC, date, datetime
from enum import Enum
from uuid import UUID

import pytest

from domain.audit.act import SHOWN, AuditAction, Subject, acted, hinted, plain
from domain.audit.origin import ActorKind, Origin
from domain.billing.coupons import Coupon
from domain.billing.payments import Refund
from domain.billing.plans import Plan
from domain.billing.pricing import ModelPrice
from domain.billing.seats import Seat
from domain.keys.api_key import ApiKey
from domain.projects.project import Project
from domain.projects.run import Run
from domain.shared.ids import UserId
from domain.shared.money import ExchangeRate
from domain.webhooks.endpoint import WebhookEndpoint
from tests.contracts.samples import make_project, make_user, new_id

SHOWN_OF = {
    Subject.API_KEY: ApiKey,
    Subject.WEBHOOK_ENDPOINT: WebhookEndpoint,
    Subject.PROJECT: Project,
    Subject.RUN: Run,
    Subject.SEAT: Seat,
    Subject.REFUND: Refund,
    Subject.PLAN: Plan,
    Subject.MODEL_PRICE: ModelPrice,
    Subject.EXCHANGE_RATE: ExchangeRate,
    Subject.COUPON: Coupon,
}
SECRET = ("password", "secret", "token", "hash", "digest", "pepper", "mandate", "idea", "gateway")


def test_every_subject_has_a_list() -> None:
    assert set(SHOWN) == set(Subject)
    assert {action.subject for action in AuditAction} == set(Subject)


@pytest.mark.parametrize("subject", SHOWN_OF)
def test_what_is_listed_exists(subject: Subject) -> None:
    assert set(SHOWN[subject]) <= set(SHOWN_OF[subject].__dataclass_fields__)


def test_no_list_names_a_secret() -> None:
    names = [name for shown in SHOWN.values() for name in shown]
    assert not [name for name in names if any(word in name for word in SECRET)]


def test_only_what_is_listed_is_shown() -> None:
    user = make_user()
    act = acted(AuditAction.REGISTERED, user.id, after=user)
    assert act.after == {
        "email": hinted(user.email),
        "role": "member",
        "is_active": True,
    }
    for told in (user.password_hash, user.email, user.name):
        assert told not in str(act)


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("asha.rao@example.org", "a…@e….org"),
        ("a@b.in", "a…@b….in"),
        ("x@mail.college.ac.in", "x…@m….in"),
        ("asha@localhost", "a…@…localhost"),
    ],
)
def test_of_an_address_only_a_hint_is_written_down(email: str, said: str) -> None:
    assert hinted(email) == said
    act = acted(AuditAction.EMAIL_CHANGED, before={"email": email}, after={"email": "new@b.in"})
    assert act.before == {"email": said}


def test_of_a_change_only_what_changed_is_shown() -> None:
    before = make_project(UserId(new_id()), title="One")
    after = make_project(UserId(new_id()), title="Two")
    act = acted(AuditAction.PROJECT_DELETED, before.id, before=before, after=after)
    assert (act.before, act.after) == ({"title": "One"}, {"title": "Two"})


def test_what_came_or_went_is_a_change() -> None:
    act = acted(AuditAction.SUBSCRIPTION_CHANGED, before={}, after={"seats": 2})
    assert (act.before, act.after) == ({}, {"seats": 2})


def test_a_mapping_names_nothing_that_is_not_shown() -> None:
    with pytest.raises(ValueError, match="not shown of a user: password"):
        acted(AuditAction.REGISTERED, after={"password": "correct horse"})


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Colour.RED, "red"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 11, 28, tzinfo=UTC), "2026-11-28T00:00:00+00:00"),
        (date(2026, 11, 28), "2026-11-28"),
        (frozenset({"b", "a"}), ["a", "b"]),
        ((1, None, True), [1, None, True]),
    ],
)
def test_values_are_said_as_json_can(value: object, said: object) -> None:
    assert plain(value) == said


def test_bytes_are_never_said() -> None:
    with pytest.raises(TypeError, match="bytes"):
        plain(b"sealed")


def test_who_proves_to_be_somebody_is_told_as_them() -> None:
    sender = Origin(kind=ActorKind.NOBODY, address="192.0.2.1", request_id="r")
    user_id = UserId(new_id())
    assert sender.as_person(user_id) == Origin(
        kind=ActorKind.PERSON, person=user_id, address="192.0.2.1", request_id="r"
    )
