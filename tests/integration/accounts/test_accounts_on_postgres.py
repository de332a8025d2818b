"""Accounts on PostgreSQL, with their mail sent to a real SMTP server."""

import email
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from email.policy import default
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.mail import SmtpMailSender, SmtpServer, TemplatedLetterWriter
from adapters.postgres.mail import PostgresMailQueue
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemClock, UuidMaker
from application.identity.deliver_mail import MailNotices
from application.identity.mail_desk import MailDesk
from application.ports.mail import MailRefused, MailUndelivered, Message
from application.ports.subscriptions import Notice
from domain.billing.subscriptions.changes import NoticeKind
from entrypoints.local_stack.ports import choose_free_port
from tests.contracts.account_flow_contract import (
    AccountFlowContract,
    MailContract,
    Platform,
    address,
)
from tests.contracts.samples import new_id
from tests.fakes.security import TransparentSecretBox


class Handler:
    """Takes mail in, or refuses it as it is told."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.answers: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answers:
            return self.answers.pop(0)
        self.taken.append(envelope.content)
        return "250 OK"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Handler, int]]:
    handler, port = Handler(), choose_free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, port
    controller.stop()


def sender_to(port: int, **more: Any) -> SmtpMailSender:
    server = SmtpServer(
        host="127.0.0.1",
        port=port,
        sender="BharatBuild AI <no-reply@example.com>",
        **{"tls": "none", **more},
    )
    return SmtpMailSender(server, SystemClock())


class Sent:
    """Sends by SMTP, and reads back what the server took."""

    def __init__(self, handler: Handler, port: int) -> None:
        self._handler = handler
        self._sender = sender_to(port)

    async def send(self, message: Message) -> None:
        await self._sender.send(message)

    @property
    def sent(self) -> list[Message]:
        found = []
        for content in self._handler.taken:
            read: Any = email.message_from_bytes(content, policy=default)
            plain, html = (read.get_body([kind]).get_content() for kind in ("plain", "html"))
            message_id = UUID(read["Message-ID"].strip("<>").partition("@")[0])
            found.append(
                Message(
                    id=message_id,
                    to=str(read["To"]),
                    subject=str(read["Subject"]),
                    text=plain,
                    html=html,
                )
            )
        return found


@pytest.fixture
async def clear(dispatch_engine: AsyncEngine) -> AsyncIterator[None]:
    """Nothing that other tests left due."""
    async with dispatch_engine.begin() as connection:
        await connection.execute(text("UPDATE mails SET done_at = now() WHERE done_at IS NULL"))
    yield


def platform_on(uow: PostgresUnitOfWork, dispatch: AsyncEngine, **more: Any) -> Platform:
    return Platform(
        uow=uow,
        queue=PostgresMailQueue(dispatch),
        writer=TemplatedLetterWriter(),
        clock=SystemClock(),
        ids=UuidMaker(),
        **more,
    )


class TestAccountsOnPostgres(AccountFlowContract):
    @pytest.fixture
    def platform(
        self,
        clear: None,
        postgres_uow: PostgresUnitOfWork,
        dispatch_engine: AsyncEngine,
        server: tuple[Handler, int],
    ) -> Platform:
        return platform_on(postgres_uow, dispatch_engine, sender=Sent(*server))


class TestMailOnPostgres(MailContract):
    @pytest.fixture
    def platform(
        self, clear: None, postgres_uow: PostgresUnitOfWork, dispatch_engine: AsyncEngine
    ) -> Platform:
        return platform_on(postgres_uow, dispatch_engine)

    @pytest.fixture
    def due_again(self, dispatch_engine: AsyncEngine) -> Callable[[], Awaitable[None]]:
        async def make_due() -> None:
            async with dispatch_engine.begin() as connection:
                await connection.execute(
                    text("UPDATE mails SET due_at = now() WHERE done_at IS NULL")
                )

        return make_due

    async def test_what_was_sent_is_kept_nowhere(
        self, platform: Platform, dispatch_engine: AsyncEngine, app_engine: AsyncEngine
    ) -> None:
        mailbox = address()
        await platform.ask(mailbox)
        token = await platform.token(mailbox)
        async with dispatch_engine.connect() as connection:
            rows = await connection.execute(text("SELECT sealed, outcome FROM mails"))
            assert token not in str([(bytes(row.sealed), row.outcome) for row in rows])
        async with app_engine.connect() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM account_links")) == 0


async def test_a_notice_is_mailed_once_whatever_is_cut_off(
    clear: None, postgres_uow: PostgresUnitOfWork, dispatch_engine: AsyncEngine
) -> None:
    platform = platform_on(postgres_uow, dispatch_engine)
    desk = MailDesk(TransparentSecretBox(), UuidMaker())
    make = MailNotices(PostgresMailQueue(dispatch_engine), postgres_uow, desk)
    user = await platform.person()
    notice = Notice(
        id=new_id(),
        user_id=user.id,
        key="seat:a-test",
        kind=NoticeKind.SEAT_GIVEN,
        data={"until": "2026-12-01T00:00:00+00:00"},
        created_at=SystemClock().now(),
        subscription_id=None,
    )
    while await make():  # what other tests left
        pass
    async with postgres_uow.begin(user.id) as tx:
        await tx.notices.add(notice)
    assert await make() == 1
    # As if the process had died before it noted that: the mail is the same one.
    async with dispatch_engine.begin() as connection:
        await connection.execute(
            text("UPDATE notices SET sent_at = NULL WHERE id = :id"), {"id": notice.id}
        )
    assert await make() == 1
    assert await make() == 0
    (message,) = await platform.mail(user.email)
    assert message.subject == "You have a seat"
    assert "Until: 2026-12-01" in message.text
    async with dispatch_engine.begin() as connection:
        await connection.execute(
            text("UPDATE notices SET sent_at = NULL WHERE id = :id"), {"id": notice.id}
        )
    assert await make() == 1
    assert len(await platform.mail(user.email)) == 1


MESSAGE = Message(
    id=new_id(), to="asha@example.org", subject="आपका खाता", text="नमस्ते ₹\n", html="<p>₹</p>"
)


async def test_a_message_arrives_as_it_was_written(server: tuple[Handler, int]) -> None:
    handler, port = server
    before = len(handler.taken)
    await sender_to(port).send(MESSAGE)
    read: Any = email.message_from_bytes(handler.taken[before], policy=default)
    assert (read["Subject"], read["To"]) == ("आपका खाता", "asha@example.org")
    assert read["Message-ID"] == f"<{MESSAGE.id}@example.com>"
    assert read["Auto-Submitted"] == "auto-generated"
    assert read.get_body(["plain"]).get_content().strip() == "नमस्ते ₹"


@pytest.mark.parametrize(
    ("answer", "error"), [("550 no", MailRefused), ("451 later", MailUndelivered)]
)
async def test_a_servers_answer_is_told_apart(
    server: tuple[Handler, int], answer: str, error: type[Exception]
) -> None:
    handler, port = server
    handler.answers = [answer]
    with pytest.raises(error):
        await sender_to(port).send(MESSAGE)


async def test_a_server_that_is_away_or_offers_no_tls_gets_nothing(
    server: tuple[Handler, int],
) -> None:
    handler, port = server
    before = len(handler.taken)
    with pytest.raises(MailUndelivered):
        await sender_to(port, tls="starttls").send(MESSAGE)
    with pytest.raises(MailUndelivered):
        await sender_to(choose_free_port()).send(MESSAGE)
    assert len(handler.taken) == before
