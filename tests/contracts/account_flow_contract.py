"""What holds of accounts and their mail, whatever they are kept and sent by."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from adapters.security import OneTimeSecrets, Peppers, generate_pepper
from application.identity.attempts import OF_ACCOUNT, AttemptThrottle
from application.identity.change_email import AskToChangeEmail, ConfirmEmail
from application.identity.delete_account import AccountInUse, DeleteAccount
from application.identity.deliver_mail import DeliverMail
from application.identity.export_account import ExportAccount
from application.identity.mail_desk import MailDesk
from application.identity.mail_limits import TO_ONE, TO_ONE_IN_ALL, MailLimits
from application.identity.open_account import AccountOpener
from application.identity.open_session import SessionOpener, SignedIn, acting
from application.identity.pass_first_factor import PassFirstFactor
from application.identity.password_policy import PasswordPolicy
from application.identity.passwords import (
    AskForReset,
    ChangePassword,
    ResetPassword,
)
from application.identity.reauthenticate import Proof, Reauthenticate, ReauthenticationFailed
from application.identity.register_user import RegisterUser, Registration
from application.identity.registering import AskForConfirmation, AskToRegister, ConfirmAddress
from application.identity.second_factor_codes import SecondFactorCodes
from application.identity.sign_in import Credentials, SignIn
from application.keys.local_rate_limiter import LocalRateLimiter
from application.ports.clock import Clock, IdMaker
from application.ports.mail import (
    LetterWriter,
    MailQueue,
    MailRefused,
    MailUndelivered,
    Message,
)
from application.ports.persistence import UnitOfWork
from application.ports.security import Principal
from domain.audit.act import AuditAction, acted
from domain.audit.origin import ActorKind, Origin
from domain.billing.parties import BillingProfile, Buyer
from domain.identity.linked_identity import LinkedIdentity, ProviderName
from domain.identity.mail import LinkRefused
from domain.identity.session import Device
from domain.identity.user import InvalidCredentials, Role, User
from domain.keys.rate_limit import RateLimited
from domain.shared.errors import InvalidValue
from tests.contracts.samples import ORIGIN, keep_order, keep_project, keep_run, keep_user, new_id
from tests.contracts.subscriptions_contract import keep_subscription, make_seat
from tests.contracts.webhooks_contract import keep_endpoint
from tests.fakes.keys import InMemoryKeyChanges
from tests.fakes.known_places import InMemoryKnownPlaces
from tests.fakes.security import (
    CountingRefreshTokens,
    OpaqueAccessTokens,
    PlainPasswordHasher,
    TransparentSecretBox,
)

PASSWORD = "a horse with a battery"
ANOTHER = "the staple is correct now"
RIGHT = Proof(password=PASSWORD)
HERE = Device(address="203.0.113.5", agent="A browser")


class Leaked:
    """Knows one password."""

    def knows(self, password: str) -> bool:
        return password == "password123456"


class Postbox:
    """Keeps what is sent, and fails as it is told."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.failures: list[Exception] = []

    async def send(self, message: Message) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(message)


@dataclass
class Platform:
    """A platform as far as accounts are concerned."""

    uow: UnitOfWork
    queue: MailQueue
    writer: LetterWriter
    clock: Clock
    ids: IdMaker
    sender: Any = field(default_factory=Postbox)

    def __post_init__(self) -> None:
        self.changes = InMemoryKeyChanges()
        self.hasher = PlainPasswordHasher()
        self.limiter = LocalRateLimiter()
        self.throttle = AttemptThrottle(self.limiter, InMemoryKnownPlaces(self.clock))
        limits, policy = MailLimits(self.limiter), PasswordPolicy(Leaked())
        tokens, refresh = OpaqueAccessTokens(self.clock), CountingRefreshTokens()
        desk = MailDesk(TransparentSecretBox(), self.ids)
        once = OneTimeSecrets(Peppers.parse(generate_pepper()))
        codes = SecondFactorCodes(once, TransparentSecretBox(), self.clock)
        proved = Reauthenticate(self.uow, self.hasher, codes, self.clock, self.throttle)
        account = AccountOpener(self.clock, self.ids, 100)
        # Tokens of another platform's tests would be the same.
        refresh.mint = lambda: f"refresh-{new_id()}"  # type: ignore[method-assign]
        self.register = AskToRegister(
            self.uow,
            self.hasher,
            policy,
            desk,
            limits,
            RegisterUser(self.uow, self.hasher, account),
        )
        self.resend = AskForConfirmation(self.uow, desk, limits)
        self.confirm = ConfirmAddress(self.uow, self.hasher, account, self.throttle)
        self.forgot = AskForReset(self.uow, desk, limits)
        self.reset = ResetPassword(self.uow, self.hasher, policy, desk, self.throttle, self.changes)
        self.change = ChangePassword(self.uow, self.hasher, policy, proved, desk, self.changes)
        self.ask_email = AskToChangeEmail(self.uow, proved, desk, limits)
        self.confirm_email = ConfirmEmail(self.uow, desk, self.changes)
        self.delete = DeleteAccount(self.uow, proved, desk, self.clock, self.changes)
        self.export = ExportAccount(self.uow)
        opener = SessionOpener(tokens, refresh, self.clock, self.ids)
        first_factor = PassFirstFactor(opener, once, self.clock)
        self.sign_in = SignIn(self.uow, self.hasher, first_factor, self.throttle)
        self.deliver = DeliverMail(
            self.queue, self.uow, desk, self.writer, self.sender, "https://app.example.com"
        )

    async def mail(self, to: str) -> list[Message]:
        """What has been sent to an address, once all that is due is."""
        while await self.deliver():
            pass
        return [message for message in self.sender.sent if message.to == to]

    async def token(self, to: str) -> str:
        """The token of the last link in that mailbox."""
        found = re.findall(r"#token=([\w-]+)", (await self.mail(to))[-1].text)
        return str(found[-1])

    async def ask(self, email: str, password: str = PASSWORD) -> None:
        await self.register(
            Registration(email=email, password=password, name="Asha Rao", origin=ORIGIN)
        )

    async def person(self, **changes: object) -> User:
        values = {
            "password_hash": await self.hasher.hash(PASSWORD),
            "email_verified_at": self.clock.now(),
            **changes,
        }
        return await keep_user(self.uow, **values)

    async def signed_in(self, user: User, password: str = PASSWORD) -> SignedIn:
        opened = await self.sign_in(
            Credentials(email=user.email, password=password, origin=ORIGIN), HERE
        )
        assert isinstance(opened, SignedIn)
        return opened

    async def live(self, opened: SignedIn) -> bool:
        async with self.uow.begin(opened.user.id) as tx:
            standing = await tx.sessions.standing(opened.session.id)
        return standing is not None and standing.live(self.clock.now())


def caller(user: User) -> Principal:
    return Principal(user_id=user.id, role=user.role)


def address() -> str:
    return f"{new_id()}@example.org"


async def outcomes(*attempts: Any) -> list[object]:
    return await asyncio.gather(*attempts, return_exceptions=True)


def elsewhere(place: int) -> Origin:
    """Nobody, at an address of their own."""
    return replace(ORIGIN, address=f"198.51.100.{place}")


def subjects(messages: list[Message]) -> list[str]:
    return [message.subject for message in messages]


class AccountFlowContract:
    """Subclasses provide ``platform``."""

    # Registering

    async def test_an_account_opens_when_its_address_is_confirmed(self, platform: Platform) -> None:
        email = address()
        await platform.ask(email)
        async with platform.uow.begin(None) as tx:
            assert await tx.users.by_email(email) is None
        token = await platform.token(email)
        user = await platform.confirm(token, PASSWORD, ORIGIN)
        assert user.email_verified_at is not None
        async with platform.uow.begin(user.id) as tx:
            assert (await tx.ledger.balance(user.id)).available == 100
        assert (await platform.signed_in(user)).user.id == user.id

    async def test_a_stranger_who_clicks_opens_nothing(self, platform: Platform) -> None:
        email = address()
        await platform.ask(email)
        token = await platform.token(email)
        with pytest.raises(InvalidCredentials):
            await platform.confirm(token, ANOTHER, ORIGIN)
        await platform.confirm(token, PASSWORD, ORIGIN)

    async def test_of_two_confirmations_at_once_one_opens_the_account(
        self, platform: Platform
    ) -> None:
        email = address()
        await platform.ask(email)
        token = await platform.token(email)
        found = await outcomes(*(platform.confirm(token, PASSWORD, ORIGIN) for _ in range(4)))
        assert sorted(type(each).__name__ for each in found) == [*["LinkRefused"] * 3, "User"]

    async def test_who_has_an_account_is_told_so_by_mail_alone(self, platform: Platform) -> None:
        user = await platform.person()
        assert await platform.ask(user.email, ANOTHER) is None  # type: ignore[func-returns-value]  # the point
        assert subjects(await platform.mail(user.email)) == ["You already have an account"]
        await platform.signed_in(user)

    async def test_a_confirmation_can_be_sent_again_and_the_older_one_ends(
        self, platform: Platform
    ) -> None:
        email = address()
        await platform.ask(email)
        first = await platform.token(email)
        await platform.resend(email, ORIGIN)
        second = await platform.token(email)
        assert first != second
        with pytest.raises(LinkRefused):
            await platform.confirm(first, PASSWORD, ORIGIN)
        await platform.confirm(second, PASSWORD, ORIGIN)

    async def test_nothing_is_sent_again_to_whom_nothing_was(self, platform: Platform) -> None:
        email = address()
        await platform.resend(email, ORIGIN)
        assert await platform.mail(email) == []

    async def test_an_account_of_before_confirms_its_address(self, platform: Platform) -> None:
        user = await keep_user(
            platform.uow,
            password_hash=await platform.hasher.hash(PASSWORD),
            email_verified_at=None,
        )
        await platform.resend(user.email, ORIGIN)
        confirmed = await platform.confirm(await platform.token(user.email), PASSWORD, ORIGIN)
        assert (confirmed.id, confirmed.email_verified_at is not None) == (user.id, True)

    @pytest.mark.parametrize("password", ["short", "password123456", "x" * 257])
    async def test_a_weak_password_is_refused_whoever_it_is(
        self, platform: Platform, password: str
    ) -> None:
        user = await platform.person()
        for email in (address(), user.email):
            with pytest.raises(InvalidValue):
                await platform.ask(email, password)

    async def test_a_password_does_not_hold_the_address(self, platform: Platform) -> None:
        with pytest.raises(InvalidValue, match="email address"):
            await platform.ask("asha.rao@example.org", "my-Asha.Rao-password")

    async def test_a_mailbox_is_not_flooded(self, platform: Platform) -> None:
        email = address()
        for _ in range(TO_ONE.quota + 3):
            await platform.ask(email)
        assert len(await platform.mail(email)) == TO_ONE.quota

    async def test_a_mailbox_is_not_flooded_from_many_places(self, platform: Platform) -> None:
        user = await platform.person()
        for place in range(1, 8):
            for _ in range(TO_ONE.quota):
                await platform.forgot(user.email, elsewhere(place))
        assert len(await platform.mail(user.email)) == TO_ONE_IN_ALL.quota

    async def test_a_stranger_s_asking_keeps_no_mail_from_who_asks_for_their_own(
        self, platform: Platform
    ) -> None:
        user = await platform.person()
        for _ in range(TO_ONE.quota + 3):
            await platform.ask(user.email)
            await platform.forgot(user.email, elsewhere(1))
        before = await platform.mail(user.email)
        await platform.forgot(user.email, elsewhere(2))
        assert subjects((await platform.mail(user.email))[len(before) :]) == ["Set a new password"]

    # Passwords

    async def test_a_forgotten_password_is_set_anew_and_every_session_ends(
        self, platform: Platform
    ) -> None:
        user = await platform.person()
        opened = await platform.signed_in(user)
        await platform.forgot(user.email, ORIGIN)
        await platform.reset(await platform.token(user.email), ANOTHER, ORIGIN)
        assert not await platform.live(opened)
        with pytest.raises(InvalidCredentials):
            await platform.signed_in(user)
        assert await platform.live(await platform.signed_in(user, ANOTHER))
        assert "Your password was changed" in subjects(await platform.mail(user.email))

    async def test_asking_for_a_stranger_sends_nothing(self, platform: Platform) -> None:
        email = address()
        await platform.forgot(email, ORIGIN)
        assert await platform.mail(email) == []

    async def test_of_two_resets_with_one_link_at_once_one_counts(self, platform: Platform) -> None:
        user = await platform.person()
        await platform.forgot(user.email, ORIGIN)
        token = await platform.token(user.email)
        wanted = [f"{ANOTHER} {n}" for n in range(4)]
        found = await outcomes(*(platform.reset(token, each, ORIGIN) for each in wanted))
        assert sum(each is None for each in found) == 1
        assert sum(isinstance(each, LinkRefused) for each in found) == 3
        won = wanted[found.index(None)]
        await platform.signed_in(user, won)

    async def test_a_weak_new_password_does_not_use_the_link_up(self, platform: Platform) -> None:
        user = await platform.person()
        await platform.forgot(user.email, ORIGIN)
        token = await platform.token(user.email)
        with pytest.raises(InvalidValue):
            await platform.reset(token, "password123456", ORIGIN)
        await platform.reset(token, ANOTHER, ORIGIN)

    async def test_a_link_is_for_its_purpose_alone(self, platform: Platform) -> None:
        user = await platform.person()
        await platform.forgot(user.email, ORIGIN)
        token = await platform.token(user.email)
        for other in (
            platform.confirm(token, PASSWORD, ORIGIN),
            platform.confirm_email(token, ORIGIN),
        ):
            with pytest.raises(LinkRefused):
                await other
        await platform.reset(token, ANOTHER, ORIGIN)

    @pytest.mark.parametrize("token", ["", "nonsense", "x" * 5000, "\ud800"])
    async def test_what_is_no_token_opens_nothing(self, platform: Platform, token: str) -> None:
        for attempt in (
            platform.reset(token, ANOTHER, ORIGIN),
            platform.confirm(token, PASSWORD, ORIGIN),
            platform.confirm_email(token, ORIGIN),
        ):
            with pytest.raises(LinkRefused):
                await attempt

    async def test_changing_the_password_ends_the_other_sessions(self, platform: Platform) -> None:
        user = await platform.person()
        here, there = await platform.signed_in(user), await platform.signed_in(user)
        principal = Principal(user_id=user.id, role=user.role, session=acting(here.session))
        with pytest.raises(ReauthenticationFailed):
            await platform.change(principal, Proof(password=ANOTHER), ANOTHER, ORIGIN)
        assert await platform.change(principal, RIGHT, ANOTHER, ORIGIN) == 1
        assert await platform.live(here)
        assert not await platform.live(there)
        await platform.signed_in(user, ANOTHER)

    @pytest.mark.parametrize("by_mail", [True, False])
    async def test_a_new_password_ends_the_links_that_were_sent_before(
        self, platform: Platform, *, by_mail: bool
    ) -> None:
        user, thief_s = await platform.person(), address()
        await platform.ask_email(caller(user), RIGHT, thief_s, ORIGIN)
        change = await platform.token(thief_s)
        await platform.forgot(user.email, ORIGIN)
        reset = await platform.token(user.email)
        if by_mail:
            await platform.reset(reset, ANOTHER, ORIGIN)
        else:
            await platform.change(caller(user), RIGHT, ANOTHER, ORIGIN)
        for attempt in (
            platform.confirm_email(change, ORIGIN),
            platform.reset(reset, f"{ANOTHER} again", ORIGIN),
        ):
            with pytest.raises(LinkRefused):
                await attempt
        await platform.signed_in(user, ANOTHER)

    async def test_a_change_that_was_asked_for_before_a_new_password_is_not_sent(
        self, platform: Platform
    ) -> None:
        user, thief_s = await platform.person(), address()
        await platform.ask_email(caller(user), RIGHT, thief_s, ORIGIN)
        await platform.change(caller(user), RIGHT, ANOTHER, ORIGIN)
        assert await platform.mail(thief_s) == []

    # Addresses

    async def test_a_new_address_ends_the_other_changes(self, platform: Platform) -> None:
        user, first, second = await platform.person(), address(), address()
        await platform.ask_email(caller(user), RIGHT, first, ORIGIN)
        older = await platform.token(first)
        await platform.ask_email(caller(user), RIGHT, second, ORIGIN)
        await platform.confirm_email(await platform.token(second), ORIGIN)
        with pytest.raises(LinkRefused):
            await platform.confirm_email(older, ORIGIN)

    async def test_an_address_is_changed_by_its_new_mailbox_and_told_to_the_old(
        self, platform: Platform
    ) -> None:
        user, new = await platform.person(), address()
        opened = await platform.signed_in(user)
        with pytest.raises(ReauthenticationFailed):
            await platform.ask_email(caller(user), Proof(password=ANOTHER), new, ORIGIN)
        await platform.ask_email(caller(user), RIGHT, new, ORIGIN)
        token = await platform.token(new)
        found = await outcomes(*(platform.confirm_email(token, ORIGIN) for _ in range(3)))
        assert sum(each is None for each in found) == 1
        async with platform.uow.begin(user.id) as tx:
            changed = await tx.users.get(user.id)
        assert changed is not None
        assert changed.email == new
        assert not await platform.live(opened)
        assert subjects(await platform.mail(user.email)) == ["Your email address was changed"]

    async def test_an_address_with_an_account_is_told_and_not_given_away(
        self, platform: Platform
    ) -> None:
        user, other = await platform.person(), await platform.person()
        await platform.ask_email(caller(user), RIGHT, other.email, ORIGIN)
        assert subjects(await platform.mail(other.email)) == ["You already have an account"]

    # Leaving

    async def test_a_deleted_account_is_nobodys(self, platform: Platform) -> None:
        user = await platform.person()
        opened = await platform.signed_in(user)
        await keep_project(platform.uow, user)
        with pytest.raises(ReauthenticationFailed):
            await platform.delete(caller(user), Proof(password=ANOTHER), ORIGIN)
        await platform.delete(caller(user), RIGHT, ORIGIN)
        assert not await platform.live(opened)
        with pytest.raises(InvalidCredentials):
            await platform.signed_in(user)
        assert subjects(await platform.mail(user.email)) == ["Your account was deleted"]
        async with platform.uow.begin(user.id) as tx:
            left = await tx.users.get(user.id)
            # The books stay.
            assert await tx.ledger.balance(user.id)
        assert left is not None
        assert user.email not in str(left)
        assert (left.name, left.is_active) == ("Deleted account", False)
        await platform.ask(user.email)
        assert subjects(await platform.mail(user.email))[-1] == "Confirm your email address"

    async def test_what_is_left_of_an_account_is_what_the_law_has_kept(
        self, platform: Platform
    ) -> None:
        user, buyer = await platform.person(), await platform.person()
        profile = BillingProfile(
            user_id=user.id,
            buyer=Buyer(name="Asha Rao", address="", state="29", country="IN", gstin=""),
            updated_at=platform.clock.now(),
        )
        sub = await keep_subscription(platform.uow, buyer, "team", seats=4)
        now = platform.clock.now()
        other = make_seat(sub, 3, assigned_at=now)
        async with platform.uow.begin(buyer.id) as tx:
            await tx.seats.add(
                make_seat(sub, 2, email=user.email, holder_id=user.id, assigned_at=now)
            )
            await tx.seats.add(other)
        async with platform.uow.begin(user.id) as tx:
            await tx.billing_profiles.put(profile)
        await platform.ask_email(caller(user), RIGHT, new := address(), ORIGIN)
        token = await platform.token(new)

        await platform.delete(caller(user), RIGHT, ORIGIN)

        with pytest.raises(LinkRefused):
            await platform.confirm_email(token, ORIGIN)
        async with platform.uow.begin(user.id) as tx:
            assert await tx.billing_profiles.get() is None
            assert await tx.seats.leave(user.email, now) == 0
        async with platform.uow.begin(buyer.id) as tx:
            assert await tx.seats.of(sub.id) == [other]

    async def test_an_admin_leaves_while_another_stays(self, platform: Platform) -> None:
        admin = await platform.person(role=Role.ADMIN)
        other = await platform.person(role=Role.ADMIN)
        await platform.delete(caller(other), RIGHT, ORIGIN)
        async with platform.uow.begin(other.id) as tx:
            left = await tx.users.get(other.id)
        assert left is not None and not left.is_active
        async with platform.uow.begin(admin.id) as tx:
            assert await tx.users.get(admin.id) == admin

    async def test_an_account_is_not_deleted_under_a_run(self, platform: Platform) -> None:
        user = await platform.person()
        await keep_run(platform.uow, await keep_project(platform.uow, user))
        with pytest.raises(AccountInUse):
            await platform.delete(caller(user), RIGHT, ORIGIN)

    async def test_an_export_holds_what_is_kept_and_no_secret(self, platform: Platform) -> None:
        user = await platform.person()
        project = await keep_project(platform.uow, user)
        await platform.signed_in(user)
        batches = await platform.export(user.id, ORIGIN)
        records = [record async for batch in batches for record in batch]
        kinds = [of for of, _ in records]
        assert {"account", "session", "project", "audit_entry"} <= set(kinds)
        assert records[kinds.index("project")][1]["id"] == project.id
        assert user.password_hash not in str(records)

    async def test_an_export_has_what_was_bought_and_called_and_linked(
        self, platform: Platform
    ) -> None:
        user = await platform.person()
        order = await keep_order(platform.uow, user)
        endpoint = await keep_endpoint(platform.uow, user.id)
        async with platform.uow.begin(user.id) as tx:
            identity = LinkedIdentity(
                user_id=user.id,
                provider=ProviderName.GOOGLE,
                subject=str(new_id()),
                email="asha@elsewhere.example",
                linked_at=platform.clock.now(),
                last_used_at=platform.clock.now(),
            )
            await tx.linked_identities.add(identity)
        batches = await platform.export(user.id, ORIGIN)
        records = {of: fields async for batch in batches for of, fields in batch}
        assert records["order"]["id"] == order.id
        assert records["webhook_endpoint"]["url"] == endpoint.url
        assert not {"secret", "previous_secret"} & set(records["webhook_endpoint"])
        assert records["linked_identity"]["email"] == identity.email

    async def test_an_export_does_not_say_which_admin_acted_nor_from_where(
        self, platform: Platform
    ) -> None:
        user, admin = await platform.person(), await platform.person(role=Role.ADMIN)
        by = Origin(
            kind=ActorKind.PERSON,
            person=admin.id,
            address="198.51.100.23",
            request_id="the-admin-s-request",
        )
        proposed = {"credits": 5, "proposed_by": admin.id}
        async with platform.uow.begin(user.id) as tx:
            await tx.audit.record(
                by, acted(AuditAction.ADJUSTMENT_PROPOSED, new_id(), after=proposed)
            )
        batches = await platform.export(user.id, ORIGIN)
        records = [record async for batch in batches for record in batch]
        assert AuditAction.ADJUSTMENT_PROPOSED in str(records)
        for of_the_admin in (admin.id, by.address, by.request_id):
            assert str(of_the_admin) not in str(records)

    # Guessing

    async def test_of_twenty_sign_ins_at_once_no_more_are_checked_than_may_fail(
        self, platform: Platform
    ) -> None:
        user = await platform.person()
        wrong = await outcomes(*(platform.signed_in(user, f"{ANOTHER} {n}") for n in range(20)))
        assert sum(isinstance(each, InvalidCredentials) for each in wrong) == OF_ACCOUNT[0].quota
        assert sum(isinstance(each, RateLimited) for each in wrong) == 15
        # And the right one does not get through either, at once or alone.
        right = await outcomes(*(platform.signed_in(user) for _ in range(20)))
        assert all(isinstance(each, RateLimited) for each in right)

    async def test_an_account_that_is_not_there_is_held_back_alike(
        self, platform: Platform
    ) -> None:
        user, nobody = await platform.person(), address()
        seen = []
        for email in (user.email, nobody):
            found = [
                await outcomes(
                    platform.sign_in(
                        Credentials(email=email, password=ANOTHER, origin=ORIGIN),
                        Device(address=f"198.51.100.{n}"),
                    )
                )
                for n in range(8)
            ]
            seen.append([(type(each[0]).__name__, str(each[0])[:40]) for each in found])
        assert seen[0] == seen[1]

    async def test_signing_in_strengthens_a_hash_of_older_parameters_and_only_so(
        self, platform: Platform
    ) -> None:
        person = await platform.person()

        async def kept() -> str:
            async with platform.uow.begin(person.id) as tx:
                user = await tx.users.get(person.id)
            assert user is not None
            return user.password_hash

        await platform.signed_in(person)
        assert await kept() == person.password_hash
        platform.hasher.generation += 1
        with pytest.raises(InvalidCredentials):
            await platform.signed_in(person, "not the password")
        assert await kept() == person.password_hash
        session = await platform.signed_in(person)
        stronger = await kept()
        assert not platform.hasher.outdated(stronger)
        await platform.signed_in(person)
        assert await kept() == stronger
        # Nothing of it was changed by its owner, so no session ends.
        assert await platform.live(session)

    async def test_a_stranger_keeps_the_owner_out_neither_where_they_were_nor_of_what_they_do(
        self, platform: Platform
    ) -> None:
        user = await platform.person()
        session = (await platform.signed_in(user)).session
        guesses = Credentials(email=user.email, password=ANOTHER, origin=ORIGIN)
        guessed = await outcomes(
            *(platform.sign_in(guesses, Device(address="198.51.100.66")) for _ in range(20))
        )
        assert sum(isinstance(each, RateLimited) for each in guessed) == 15
        assert await platform.live(await platform.signed_in(user))
        principal = Principal(user_id=user.id, role=user.role, session=acting(session))
        await platform.change(principal, RIGHT, ANOTHER, ORIGIN)
        # Elsewhere it could be anybody, with the right password too.
        right = Credentials(email=user.email, password=ANOTHER, origin=ORIGIN)
        with pytest.raises(RateLimited):
            await platform.sign_in(right, Device(address="198.51.100.67"))

    async def test_where_somebody_signed_in_no_more_may_fail_than_elsewhere(
        self, platform: Platform
    ) -> None:
        user = await platform.person()
        session = (await platform.signed_in(user)).session
        found = await outcomes(*(platform.signed_in(user, ANOTHER) for _ in range(20)))
        assert sum(isinstance(each, InvalidCredentials) for each in found) == OF_ACCOUNT[0].quota
        with pytest.raises(RateLimited):
            await platform.signed_in(user)
        principal = Principal(user_id=user.id, role=user.role, session=acting(session))
        wrong = Proof(password=ANOTHER)
        found = await outcomes(*(platform.delete(principal, wrong, ORIGIN) for _ in range(20)))
        failed = sum(isinstance(each, ReauthenticationFailed) for each in found)
        assert failed == OF_ACCOUNT[0].quota
        await platform.forgot(user.email, ORIGIN)
        here = replace(ORIGIN, address=HERE.address)
        await platform.reset(await platform.token(user.email), ANOTHER, here)
        await platform.signed_in(user, ANOTHER)

    async def test_signing_in_rightly_is_never_held_back(self, platform: Platform) -> None:
        user = await platform.person()
        for _ in range(30):
            await platform.signed_in(user)

    async def test_proving_it_again_is_held_back_too(self, platform: Platform) -> None:
        user = await platform.person()
        found = await outcomes(
            *(platform.delete(caller(user), Proof(password=ANOTHER), ORIGIN) for _ in range(20))
        )
        failed = sum(isinstance(each, ReauthenticationFailed) for each in found)
        assert failed == OF_ACCOUNT[0].quota
        with pytest.raises(RateLimited):
            await platform.delete(caller(user), RIGHT, ORIGIN)

    async def test_a_reset_lets_its_owner_in_again(self, platform: Platform) -> None:
        user = await platform.person()
        await outcomes(*(platform.signed_in(user, ANOTHER) for _ in range(20)))
        await platform.forgot(user.email, ORIGIN)
        await platform.reset(await platform.token(user.email), ANOTHER, ORIGIN)
        await platform.signed_in(user, ANOTHER)


class MailContract:
    """Subclasses provide ``platform`` with a :class:`Postbox`, and ``due_again``."""

    async def test_a_mail_that_was_not_taken_is_sent_again_with_the_same_id(
        self, platform: Platform, due_again: Callable[[], Any]
    ) -> None:
        user = await platform.person()
        platform.sender.failures = [MailUndelivered("451 later")]
        await platform.forgot(user.email, ORIGIN)
        assert await platform.mail(user.email) == []
        await due_again()
        (message,) = await platform.mail(user.email)
        await platform.reset(await platform.token(user.email), ANOTHER, ORIGIN)
        assert message.id

    async def test_a_mail_that_is_refused_is_not_tried_again(
        self, platform: Platform, due_again: Callable[[], Any]
    ) -> None:
        user = await platform.person()
        platform.sender.failures = [MailRefused("550 no such mailbox")]
        await platform.forgot(user.email, ORIGIN)
        await platform.mail(user.email)
        await due_again()
        assert await platform.mail(user.email) == []

    async def test_many_at_once_send_each_once(self, platform: Platform) -> None:
        users = [await platform.person() for _ in range(5)]
        for user in users:
            await platform.forgot(user.email, ORIGIN)
        await asyncio.gather(*(platform.deliver() for _ in range(4)))
        for user in users:
            assert len(await platform.mail(user.email)) == 1
