"""Accounts and their mail, in memory."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from adapters.mail import TemplatedLetterWriter
from application.identity.external_sign_in import told_of
from application.ports.mail import Letter
from domain.billing.subscriptions.changes import NoticeKind
from domain.identity.linked_identity import ProviderName
from domain.identity.mail import MailKind
from domain.identity.user import LastAdmin, Role
from tests.contracts.account_flow_contract import (
    RIGHT,
    AccountFlowContract,
    MailContract,
    Platform,
    caller,
)
from tests.contracts.samples import ORIGIN, new_id
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.persistence import InMemoryDatabase, InMemoryUnitOfWork
from tests.fakes.persistence.mail import InMemoryMailQueue


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def platform(clock: MovableClock) -> Platform:
    database = InMemoryDatabase(clock)
    return Platform(
        uow=InMemoryUnitOfWork(database),
        queue=InMemoryMailQueue(database),
        writer=TemplatedLetterWriter(),
        clock=clock,
        ids=CountingIds(),
    )


@pytest.fixture
def due_again(clock: MovableClock) -> Callable[[], Awaitable[None]]:
    async def pass_() -> None:
        clock.move(timedelta(minutes=1))

    return pass_


class TestAccountsInMemory(AccountFlowContract):
    """The flows."""


class TestMailInMemory(MailContract):
    """Due mail."""


async def test_a_link_ends_in_time(platform: Platform, clock: MovableClock) -> None:
    from domain.identity.mail import LinkRefused

    user = await platform.person()
    await platform.forgot(user.email, ORIGIN)
    token = await platform.token(user.email)
    clock.move(timedelta(hours=1))
    with pytest.raises(LinkRefused):
        await platform.reset(token, "another battery entirely", ORIGIN)


async def test_the_last_admin_does_not_leave(platform: Platform) -> None:
    admin = await platform.person(role=Role.ADMIN)
    await platform.person(role=Role.ADMIN, is_active=False)
    with pytest.raises(LastAdmin):
        await platform.delete(caller(admin), RIGHT, ORIGIN)
    async with platform.uow.begin(admin.id) as tx:
        assert await tx.users.get(admin.id) == admin


@pytest.mark.parametrize("kind", list(NoticeKind))
def test_every_notice_has_its_words(kind: NoticeKind) -> None:
    letter = Letter(to="a@example.org", template="notice", data={"kind": kind.value})
    message = TemplatedLetterWriter().write(new_id(), letter)
    assert message.subject
    assert message.text.strip()


@pytest.mark.parametrize("template", [MailKind.IDENTITY_LINKED, MailKind.IDENTITY_UNLINKED])
def test_a_way_in_that_comes_or_goes_is_told_by_its_name(template: MailKind) -> None:
    data = told_of(ProviderName.GOOGLE, "thief@example.org")
    letter = Letter(to="a@example.org", template=template.value, data=data)
    message = TemplatedLetterWriter().write(new_id(), letter)
    assert "Google as thief@example.org" in message.text


def test_what_somebody_wrote_is_neither_markup_nor_a_header() -> None:
    data = {
        "kind": NoticeKind.DELETED.value,
        "title": "<b>x</b>\nBcc: victim@example.org",
        "delete_after": "2026-12-01T00:00:00+00:00",
    }
    message = TemplatedLetterWriter().write(
        new_id(), Letter(to="a@example.org", template="notice", data=data)
    )
    assert "\n" not in message.subject
    assert "<b>" not in message.html
    assert "&lt;b&gt;x&lt;/b&gt; Bcc: victim@example.org" in message.html
    assert "Project: <b>x</b> Bcc: victim@example.org" in message.text


def test_a_link_is_a_button_in_html_and_an_address_in_text() -> None:
    data = {"url": "https://app.example.com/reset-password#token=abc", "code": "abc", "hours": 1}
    message = TemplatedLetterWriter().write(
        new_id(), Letter(to="a@example.org", template="reset_password", data=data)
    )
    assert "Set a new password:\nhttps://app.example.com/reset-password#token=abc" in message.text
    assert 'href="https://app.example.com/reset-password#token=abc"' in message.html
