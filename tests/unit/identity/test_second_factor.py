"""The second factor: no session before it, no code twice, and no removing it by a thief."""

import asyncio
from datetime import timedelta

import pyotp
import pytest

from application.identity.attempts import OF_ACCOUNT
from application.identity.open_session import SignedIn
from application.identity.pass_first_factor import SecondFactorNeeded
from application.identity.reauthenticate import (
    FRESH,
    Proof,
    ReauthenticationFailed,
    proved_lately,
)
from application.identity.sign_in import Credentials
from domain.audit.act import AuditAction
from domain.identity.mail import MailKind
from domain.identity.second_factor import (
    CHALLENGE_ATTEMPTS,
    CHALLENGE_LIFE,
    RECOVERY_CODES,
    ChallengeOver,
    NoSecondFactor,
    SecondFactorKept,
    WrongCode,
    read_code,
    read_recovery_code,
)
from domain.identity.session import Device, SessionEnd, SignInMethod
from domain.identity.user import NotAuthenticated, Permission, Role
from domain.keys.rate_limit import RateLimited
from tests.unit.identity.world import HERE, PASSWORD, PHONE, World


@pytest.fixture
def world() -> World:
    return World()


# Signing in


async def test_without_a_second_factor_a_password_is_enough(world: World) -> None:
    opened = await world.by_password(await world.person())
    assert isinstance(opened, SignedIn)
    assert opened.session.methods == {SignInMethod.PASSWORD}


async def test_with_one_there_is_no_session_before_it(world: World) -> None:
    protected = await world.protected()
    before = dict(world.database.tables.sessions)
    needed = await world.by_password(protected.person)
    assert isinstance(needed, SecondFactorNeeded)
    assert world.database.tables.sessions == before
    opened = await world.meet(needed.challenge, protected.code, PHONE, HERE)
    assert opened.session.methods == {SignInMethod.PASSWORD, SignInMethod.TOTP}
    assert (await world.acting(opened)).user_id == protected.person.id
    assert world.acts()[-1] is AuditAction.SIGNED_IN


async def test_a_recovery_code_stands_in_for_the_app_once(world: World) -> None:
    protected = await world.protected()
    code = protected.recovery[3].lower().replace("-", " ")
    opened = await world.meet(await world.challenge(protected.person), code, PHONE, HERE)
    assert SignInMethod.RECOVERY_CODE in opened.session.methods
    with pytest.raises(WrongCode):
        await world.meet(await world.challenge(protected.person), code, PHONE, HERE)
    state = await world.show(protected.principal)
    assert (state.enabled, state.recovery_codes_left) == (True, RECOVERY_CODES - 1)


async def test_a_code_opens_one_session(world: World) -> None:
    protected = await world.protected()
    code = protected.code
    await world.meet(await world.challenge(protected.person), code, PHONE, HERE)
    with pytest.raises(WrongCode):
        await world.meet(await world.challenge(protected.person), code, PHONE, HERE)


async def test_a_code_from_before_the_last_one_is_old(world: World) -> None:
    protected = await world.protected()
    old = protected.code
    world.next_step()
    await world.meet(await world.challenge(protected.person), protected.code, PHONE, HERE)
    with pytest.raises(WrongCode):
        await world.meet(await world.challenge(protected.person), old, PHONE, HERE)


async def test_the_code_that_enabled_it_opens_nothing(world: World) -> None:
    person = await world.person()
    principal = await world.acting(await world.session(person))
    proposed = await world.propose(principal, Proof(password=PASSWORD), HERE)
    code = pyotp.TOTP(proposed.secret).at(world.clock.now())
    await world.confirm(principal, code, HERE)
    with pytest.raises(WrongCode):
        await world.meet(await world.challenge(person), code, PHONE, HERE)


async def test_of_many_that_send_one_code_at_once_one_gets_a_session(world: World) -> None:
    protected = await world.protected()
    code = protected.code
    challenges = [await world.challenge(protected.person) for _ in range(10)]
    outcomes = await asyncio.gather(
        *(world.meet(challenge, code, PHONE, HERE) for challenge in challenges),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1


async def test_a_challenge_is_met_once(world: World) -> None:
    protected = await world.protected()
    challenge = await world.challenge(protected.person)
    codes = [protected.code, *protected.recovery[:3]]
    outcomes = await asyncio.gather(
        *(world.meet(challenge, code, PHONE, HERE) for code in codes), return_exceptions=True
    )
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1
    # What did not open a session was not used up for nothing.
    assert (await world.show(protected.principal)).recovery_codes_left >= RECOVERY_CODES - 1


async def test_a_challenge_may_be_tried_five_times(world: World) -> None:
    protected = await world.protected()
    challenge = await world.challenge(protected.person)
    for _ in range(CHALLENGE_ATTEMPTS):
        with pytest.raises(WrongCode):
            await world.meet(challenge, "000000", PHONE, HERE)
        await world.throttle.forget(protected.person.email, PHONE.address)
    assert world.acts()[-CHALLENGE_ATTEMPTS:] == [AuditAction.SIGN_IN_FAILED] * CHALLENGE_ATTEMPTS
    with pytest.raises(ChallengeOver):
        await world.meet(challenge, protected.code, PHONE, HERE)


async def test_wrong_codes_count_over_challenges_and_then_none_is_looked_at(world: World) -> None:
    protected = await world.protected()
    quota = OF_ACCOUNT[0].quota
    *tried, challenge = [await world.challenge(protected.person) for _ in range(quota + 1)]
    for each in tried:
        with pytest.raises(WrongCode):
            await world.meet(each, "000000", PHONE, HERE)
    with pytest.raises(RateLimited):
        await world.meet(challenge, protected.code, PHONE, HERE)
    # Whoever is in a session of the account is not kept from it.
    await world.step_up(protected.principal, protected.code, HERE)


async def test_who_has_the_password_alone_guesses_no_more_codes_from_many_places(
    world: World,
) -> None:
    protected = await world.protected()
    credentials = Credentials(email=protected.person.email, password=PASSWORD, origin=HERE)
    failed: list[type[BaseException]] = []
    for place in range(OF_ACCOUNT[0].quota + 3):
        elsewhere = Device(address=f"198.51.100.{place}")
        for _ in range(2):  # a second time where the password was right before
            try:
                needed = await world.sign_in(credentials, elsewhere)
                assert isinstance(needed, SecondFactorNeeded)
                await world.meet(needed.challenge, "000000", elsewhere, HERE)
            except (WrongCode, RateLimited) as error:
                failed.append(type(error))
    assert failed.count(WrongCode) == OF_ACCOUNT[0].quota
    assert failed[-1] is RateLimited


async def test_a_challenge_ends_by_itself(world: World) -> None:
    protected = await world.protected()
    challenge = await world.challenge(protected.person)
    world.clock.move(CHALLENGE_LIFE)
    with pytest.raises(ChallengeOver):
        await world.meet(challenge, protected.code, PHONE, HERE)


@pytest.mark.parametrize("token", ["", "made-up", "\ud800", "x" * 10_000])
async def test_what_is_no_challenge_opens_nothing(world: World, token: str) -> None:
    protected = await world.protected()
    with pytest.raises(ChallengeOver):
        await world.meet(token, protected.code, PHONE, HERE)


async def test_whatever_ends_the_sessions_ends_a_sign_in_that_waits(world: World) -> None:
    protected = await world.protected()
    challenge = await world.challenge(protected.person)
    async with world.uow.begin(protected.person.id) as tx:
        await tx.sessions.end_all(SessionEnd.CREDENTIALS_CHANGED)
    with pytest.raises(ChallengeOver):
        await world.meet(challenge, protected.code, PHONE, HERE)


async def test_anothers_code_is_wrong(world: World) -> None:
    protected, other = await world.protected(), await world.protected()
    for code in (other.code, *other.recovery[:2]):
        with pytest.raises(WrongCode):
            await world.meet(await world.challenge(protected.person), code, PHONE, HERE)


@pytest.mark.parametrize("code", ["", "12345", "1234567", "١٢٣٤٥٦", "12 345", "abcdef", "\x00"])
async def test_what_is_no_code_is_wrong(world: World, code: str) -> None:
    protected = await world.protected()
    with pytest.raises(WrongCode):
        await world.meet(await world.challenge(protected.person), code, PHONE, HERE)


def test_codes_are_read_however_they_are_typed() -> None:
    assert read_code("123 456") == "123456"
    assert read_recovery_code(" abcd efgh-jkmn pqrs ") == "ABCD-EFGH-JKMN-PQRS"
    assert read_recovery_code("ABCD-EFGH-JKMN-PQR") is None
    assert read_recovery_code("ABCD-EFGH-JKMN-PQR1") is None


# Setting it up


async def test_a_secret_counts_once_its_code_was_shown(world: World) -> None:
    person = await world.person()
    principal = await world.acting(await world.session(person))
    proposed = await world.propose(principal, Proof(password=PASSWORD), HERE)
    assert "<svg" in proposed.drawing
    assert isinstance(await world.by_password(person), SignedIn)
    with pytest.raises(WrongCode):
        await world.confirm(principal, "000000", HERE)
    assert isinstance(await world.by_password(person), SignedIn)
    app = pyotp.TOTP(proposed.secret)
    codes = await world.confirm(principal, app.at(world.clock.now()), HERE)
    assert len(set(codes)) == RECOVERY_CODES
    assert isinstance(await world.by_password(person), SecondFactorNeeded)
    assert world.acts()[-1] is AuditAction.SECOND_FACTOR_ENABLED
    assert world.changes.announced[-1] == person.id


async def test_no_secret_and_no_code_is_kept_in_the_open(world: World) -> None:
    protected = await world.protected()
    kept = world.database.tables
    assert not {code for _, code in kept.recovery_codes} & set(protected.recovery)
    (factor,) = kept.totp_factors.values()
    assert factor.secret is not None
    assert protected.app.byte_secret() not in factor.secret


async def test_without_a_proposal_nothing_is_confirmed(world: World) -> None:
    principal = await world.acting(await world.session(await world.person()))
    with pytest.raises(NoSecondFactor):
        await world.confirm(principal, "000000", HERE)


async def test_a_stolen_session_sets_up_nothing(world: World) -> None:
    principal = await world.acting(await world.session(await world.person()))
    for proof in (Proof(), Proof(password="wrong"), Proof(code="123456")):
        with pytest.raises(ReauthenticationFailed):
            await world.propose(principal, proof, HERE)


async def test_a_new_app_takes_the_old_ones_place_once_it_shows_a_code(world: World) -> None:
    protected = await world.protected()
    with pytest.raises(ReauthenticationFailed) as missing:
        await world.propose(protected.principal, Proof(password=PASSWORD), HERE)
    assert missing.value.params == {"needs": ["code"]}
    proposed = await world.propose(protected.principal, protected.proof, HERE)
    world.next_step()
    await world.meet(await world.challenge(protected.person), protected.code, PHONE, HERE)
    new = pyotp.TOTP(proposed.secret)
    await world.confirm(protected.principal, new.at(world.clock.now()), HERE)
    world.next_step()
    with pytest.raises(WrongCode):
        await world.meet(await world.challenge(protected.person), protected.code, PHONE, HERE)
    # The recovery codes are new too.
    with pytest.raises(WrongCode):
        await world.meet(
            await world.challenge(protected.person), protected.recovery[0], PHONE, HERE
        )
    code = new.at(world.clock.now())
    await world.meet(await world.challenge(protected.person), code, PHONE, HERE)


async def test_new_recovery_codes_replace_the_old(world: World) -> None:
    protected = await world.protected()
    new = await world.replace_codes(protected.principal, protected.proof, HERE)
    assert not set(new) & set(protected.recovery)
    with pytest.raises(WrongCode):
        await world.meet(
            await world.challenge(protected.person), protected.recovery[0], PHONE, HERE
        )
    await world.meet(await world.challenge(protected.person), new[0], PHONE, HERE)
    assert AuditAction.RECOVERY_CODES_REPLACED in world.acts()


async def test_there_are_no_recovery_codes_without_a_second_factor(world: World) -> None:
    principal = await world.acting(await world.session(await world.person()))
    with pytest.raises(NoSecondFactor):
        await world.replace_codes(principal, Proof(password=PASSWORD), HERE)
    with pytest.raises(NoSecondFactor):
        await world.remove(principal, Proof(password=PASSWORD), HERE)


# Removing it


async def test_removing_it_takes_password_and_code(world: World) -> None:
    protected = await world.protected()
    for proof in (
        Proof(),
        Proof(password=PASSWORD),
        Proof(code=protected.code),
        Proof(password="wrong", code=protected.code),
        Proof(password=PASSWORD, code="000000"),
    ):
        with pytest.raises(ReauthenticationFailed):
            await world.remove(protected.principal, proof, HERE)
    await world.remove(protected.principal, protected.proof, HERE)
    assert isinstance(await world.by_password(protected.person), SignedIn)
    assert world.acts()[-2] is AuditAction.SECOND_FACTOR_REMOVED


async def test_a_wrong_password_does_not_use_up_a_code(world: World) -> None:
    protected = await world.protected()
    with pytest.raises(ReauthenticationFailed):
        await world.remove(protected.principal, Proof(password="no", code=protected.code), HERE)
    await world.remove(protected.principal, protected.proof, HERE)


async def test_a_recovery_code_proves_who_lost_the_app(world: World) -> None:
    protected = await world.protected()
    proof = Proof(password=PASSWORD, code=protected.recovery[0])
    await world.remove(protected.principal, proof, HERE)


async def test_whose_role_needs_it_can_replace_it_alone(world: World) -> None:
    protected = await world.protected(role=Role.ADMIN)
    assert (await world.show(protected.principal)).required
    with pytest.raises(SecondFactorKept):
        await world.remove(protected.principal, protected.proof, HERE)
    await world.propose(protected.principal, protected.proof, HERE)


# Administrators


async def test_an_administrator_without_it_may_only_set_it_up(world: World) -> None:
    admin = await world.person(role=Role.ADMIN)
    opened = await world.session(admin)
    principal = await world.acting(opened)
    assert principal.permissions == {Permission.ACCOUNT_READ}
    proposed = await world.propose(principal, Proof(password=PASSWORD), HERE)
    await world.confirm(principal, pyotp.TOTP(proposed.secret).at(world.clock.now()), HERE)
    # The session that showed the code has proved it.
    opened = await world.refreshed(opened)
    assert (await world.acting(opened)).permissions == frozenset(Permission)


async def test_setting_it_up_ends_every_other_session_and_tells_its_owner(world: World) -> None:
    person = await world.person()
    before, here = await world.session(person), await world.session(person)
    principal = await world.acting(here)
    waiting = await world.by_password(person)
    assert isinstance(waiting, SignedIn)
    proposed = await world.propose(principal, Proof(password=PASSWORD), HERE)
    app = pyotp.TOTP(proposed.secret)
    await world.confirm(principal, app.at(world.clock.now()), HERE)
    for ended in (before, waiting):
        with pytest.raises(NotAuthenticated):
            await world.acting(ended)
    await world.acting(await world.refreshed(here))
    assert world.mails(person) == [MailKind.SECOND_FACTOR_ENABLED]


async def test_removing_it_ends_every_other_session_and_tells_its_owner(world: World) -> None:
    protected = await world.protected()
    challenge = await world.challenge(protected.person)
    other = await world.meet(challenge, protected.code, PHONE, HERE)
    world.next_step()
    await world.remove(protected.principal, protected.proof, HERE)
    with pytest.raises(NotAuthenticated):
        await world.acting(other)
    assert world.mails(protected.person)[-1] is MailKind.SECOND_FACTOR_REMOVED
    assert world.changes.announced[-1] == protected.person.id


async def test_new_recovery_codes_are_told_by_mail(world: World) -> None:
    protected = await world.protected()
    await world.replace_codes(protected.principal, protected.proof, HERE)
    assert world.mails(protected.person)[-1] is MailKind.RECOVERY_CODES_REPLACED


async def test_codes_are_not_guessed_while_it_is_set_up(world: World) -> None:
    person = await world.person()
    principal = await world.acting(await world.session(person))
    proposed = await world.propose(principal, Proof(password=PASSWORD), HERE)
    for _ in range(OF_ACCOUNT[0].quota):
        with pytest.raises(WrongCode):
            await world.confirm(principal, "000000", HERE)
    with pytest.raises(RateLimited):
        await world.confirm(principal, pyotp.TOTP(proposed.secret).at(world.clock.now()), HERE)
    assert world.acts()[-1] is AuditAction.PROOF_FAILED


async def test_a_session_is_proved_anew(world: World) -> None:
    protected = await world.protected()
    challenge = await world.challenge(protected.person)
    opened = await world.meet(challenge, protected.code, PHONE, HERE)
    world.clock.move(FRESH + timedelta(seconds=1))
    opened = await world.refreshed(opened)
    assert not proved_lately((await world.acting(opened)).session, world.clock.now())
    await world.prove_again(await world.acting(opened), protected.proof, HERE)
    assert proved_lately((await world.acting(opened)).session, world.clock.now())
    world.clock.move(FRESH + timedelta(seconds=1))
    opened = await world.refreshed(opened)
    await world.step_up(await world.acting(opened), protected.code, HERE)
    assert proved_lately((await world.acting(opened)).session, world.clock.now())
    assert world.acts()[-2:] == [AuditAction.SESSION_PROVED] * 2


async def test_a_wrong_proof_renews_nothing_and_is_written_down(world: World) -> None:
    person = await world.person()
    opened = await world.session(person)
    world.clock.move(FRESH + timedelta(seconds=1))
    opened = await world.refreshed(opened)
    with pytest.raises(ReauthenticationFailed):
        await world.prove_again(await world.acting(opened), Proof(password="wrong"), HERE)
    assert not proved_lately((await world.acting(opened)).session, world.clock.now())
    assert world.acts()[-1] is AuditAction.PROOF_FAILED


async def test_an_administrator_who_signs_in_with_it_may_everything(world: World) -> None:
    protected = await world.protected(role=Role.ADMIN)
    challenge = await world.challenge(protected.person)
    opened = await world.meet(challenge, protected.code, PHONE, HERE)
    assert (await world.acting(opened)).permissions == frozenset(Permission)


async def test_others_are_not_restricted(world: World) -> None:
    for role in (Role.MEMBER, Role.PARTNER):
        opened = await world.session(await world.person(role=role))
        assert not (await world.acting(opened)).restricted


# Proving anew


async def test_who_has_nothing_else_has_to_have_signed_in_just_now(world: World) -> None:
    finished = await world.there_and_back("asha")
    assert isinstance(finished.outcome, SignedIn)
    principal = await world.acting(finished.outcome)
    await world.propose(principal, Proof(), HERE)
    world.clock.move(FRESH + timedelta(seconds=1))
    with pytest.raises(ReauthenticationFailed) as refused:
        await world.propose(principal, Proof(), HERE)
    assert refused.value.params == {"needs": ["sign_in"]}
