"""Signed tokens, and every way in which one can be wrong."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from adapters.security import (
    KeyRing,
    PepperedRefreshTokens,
    Peppers,
    ReloadedKeyRing,
    SignedAccessTokens,
    UnusableKey,
    generate_signing_key,
    rotated,
)
from adapters.security.keys import LOOK_SECONDS
from application.ports.clock import Clock
from application.ports.security import Principal
from domain.identity.user import NotAuthenticated, Role
from tests.contracts.samples import make_acting, make_user
from tests.contracts.security_contract import AccessTokensContract, RefreshTokensContract
from tests.fakes.clock import MovableClock

ISSUER, AUDIENCE = "https://bharatbuild.example", "bharatbuild-api"
KEY_ID, PEM = generate_signing_key()
RING = KeyRing.from_pem(PEM)
SESSION = make_acting()
DAY = timedelta(days=1)


def signed_by(ring: KeyRing, clock: Clock, ttl: timedelta) -> SignedAccessTokens:
    return SignedAccessTokens(ring, clock, ISSUER, AUDIENCE, ttl)


class TestSignedAccessTokens(AccessTokensContract):
    @pytest.fixture
    def make_tokens(self) -> Callable[[Clock, timedelta], SignedAccessTokens]:
        return lambda clock, ttl: signed_by(RING, clock, ttl)

    def test_header_and_claims_are_those_of_an_access_token(
        self, tokens: SignedAccessTokens, clock: MovableClock
    ) -> None:
        user = make_user(role=Role.ADMIN)
        token = tokens.issue(user, SESSION).token
        now = int(clock.now().timestamp())

        assert jwt.get_unverified_header(token) == {
            "alg": "EdDSA",
            "kid": KEY_ID,
            "typ": "at+jwt",
        }
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims.pop("jti")
        assert claims == {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user.id),
            "iat": now,
            "exp": now + 600,
            "role": "admin",
            "sid": str(SESSION.id),
            "sv": 1,
        }

    def test_the_end_is_the_whole_second_that_the_claim_can_say(
        self, tokens: SignedAccessTokens, clock: MovableClock
    ) -> None:
        clock.move(timedelta(milliseconds=700))
        issued = tokens.issue(make_user(), SESSION)
        claims = jwt.decode(issued.token, options={"verify_signature": False})

        assert issued.expires_at.timestamp() == claims["exp"]

    def test_two_seconds_between_our_clocks_are_forgiven(
        self, tokens: SignedAccessTokens, clock: MovableClock
    ) -> None:
        token = tokens.issue(make_user(), SESSION).token
        clock.move(timedelta(seconds=-2))

        tokens.verify(token)

    def test_a_token_from_further_in_the_future_is_refused(
        self, tokens: SignedAccessTokens, clock: MovableClock
    ) -> None:
        token = tokens.issue(make_user(), SESSION).token
        clock.move(timedelta(seconds=-3))

        with pytest.raises(NotAuthenticated):
            tokens.verify(token)

    def test_the_reason_is_kept_for_the_log(self, tokens: SignedAccessTokens) -> None:
        with pytest.raises(NotAuthenticated) as refusal:
            tokens.verify("nonsense")

        assert isinstance(refusal.value.__cause__, jwt.DecodeError)


CLOCK = MovableClock()
TOKENS = signed_by(RING, CLOCK, timedelta(minutes=10))
USER = make_user()


def good_claims() -> dict[str, Any]:
    return jwt.decode(TOKENS.issue(USER, SESSION).token, options={"verify_signature": False})


def forged(claims: dict[str, Any] | None = None, key: Any = RING.signing_key, **header: Any) -> str:
    """A token of our making, right in all but what is named."""
    algorithm = header.pop("alg", "EdDSA")
    headers = {"kid": KEY_ID, "typ": "at+jwt", **header}
    return jwt.encode(claims or good_claims(), key, algorithm=algorithm, headers=headers)


def raw(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    return ".".join(
        [part(json.dumps(header).encode()), part(json.dumps(claims).encode()), part(signature)]
    )


def refused(token: str) -> BaseException | None:
    """Why it is refused."""
    with pytest.raises(NotAuthenticated) as refusal:
        TOKENS.verify(token)
    return refusal.value.__cause__


def test_what_is_forged_right_is_accepted_so_that_the_others_fail_for_their_reason() -> None:
    assert TOKENS.verify(forged()) == Principal(user_id=USER.id, role=USER.role, session=SESSION)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
def test_an_unsigned_token_is_refused(alg: str) -> None:
    header = {"alg": alg, "kid": KEY_ID, "typ": "at+jwt"}

    assert isinstance(refused(raw(header, good_claims())), jwt.InvalidAlgorithmError)


def test_the_public_key_is_no_hmac_secret() -> None:
    public = RING.verification_keys[KEY_ID]
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.Raw, PublicFormat.Raw),
    ):
        header = {"alg": "HS256", "kid": KEY_ID, "typ": "at+jwt"}
        unsigned = raw(header, good_claims()).rsplit(".", 1)[0]
        mac = hmac.digest(secret, unsigned.encode(), "sha256")
        token = f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

        assert isinstance(refused(token), jwt.InvalidAlgorithmError)


def test_a_key_in_the_header_is_ignored() -> None:
    attacker = Ed25519PrivateKey.generate()
    x = attacker.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    jwk = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": base64.urlsafe_b64encode(x).rstrip(b"=").decode(),
    }

    assert isinstance(refused(forged(key=attacker, jwk=jwk)), jwt.InvalidSignatureError)


def test_another_key_under_our_key_id_is_refused() -> None:
    assert isinstance(refused(forged(key=Ed25519PrivateKey.generate())), jwt.InvalidSignatureError)


@pytest.mark.parametrize(
    "kid",
    ["", "unknown", "../../etc/passwd", KEY_ID.lower() + "x"],
    ids=["empty", "unknown", "a path", "almost ours"],
)
def test_an_unknown_key_id_is_refused(kid: str) -> None:
    assert "unknown key" in str(refused(forged(kid=kid)))


@pytest.mark.parametrize("kid", [None, 1, ["a"], {"a": 1}])
def test_a_key_id_that_is_no_text_is_refused(kid: object) -> None:
    refused(raw({"alg": "EdDSA", "kid": kid, "typ": "at+jwt"}, good_claims(), b"x" * 64))


def test_a_missing_key_id_is_refused() -> None:
    refused(raw({"alg": "EdDSA", "typ": "at+jwt"}, good_claims(), b"x" * 64))


@pytest.mark.parametrize("typ", ["JWT", "at+JWT", "refresh+jwt", "", None, 1])
def test_a_token_of_another_type_is_refused(typ: object) -> None:
    header = {"alg": "EdDSA", "kid": KEY_ID, "typ": typ}

    assert "another type" in str(refused(raw(header, good_claims(), b"x" * 64)))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp", "jti", "role", "sid", "sv"])
@pytest.mark.parametrize("how", ["missing", "null"])
def test_every_claim_is_needed(claim: str, how: str) -> None:
    claims = good_claims()
    if how == "missing":
        del claims[claim]
    else:
        claims[claim] = None

    assert isinstance(refused(raw_signed(claims)), jwt.MissingRequiredClaimError)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "https://elsewhere.example"),
        ("iss", ISSUER + "/"),
        ("iss", [ISSUER]),
        ("aud", "another-api"),
        ("aud", [AUDIENCE]),
        ("aud", [AUDIENCE, "another-api"]),
        ("sub", "root"),
        ("sub", 1),
        ("role", "owner"),
        ("role", ["admin"]),
        ("jti", 1),
        ("sid", "none"),
        ("sid", 1),
        ("sv", "1"),
        ("sv", True),
        ("sv", 1.0),
        ("exp", "9999999999"),
        ("exp", 9999999999.5),
        ("exp", True),
        ("iat", "0"),
        ("nbf", 9999999999),
        ("nbf", "now"),
    ],
)
def test_a_claim_with_a_wrong_value_is_refused(claim: str, value: object) -> None:
    refused(raw_signed(good_claims() | {claim: value}))


def raw_signed(claims: dict[str, Any]) -> str:
    # The library would not encode some of these.
    unsigned = raw({"alg": "EdDSA", "kid": KEY_ID, "typ": "at+jwt"}, claims).rsplit(".", 1)[0]
    signature = RING.signing_key.sign(unsigned.encode())
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_what_is_not_yet_valid_becomes_so() -> None:
    clock = MovableClock()
    tokens = signed_by(RING, clock, timedelta(minutes=10))
    token = forged(good_claims() | {"nbf": int(clock.now().timestamp()) + 60})
    clock.move(timedelta(seconds=60))

    tokens.verify(token)


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=5))
def test_no_flipped_bit_goes_unnoticed(place: int, bit: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = TOKENS.issue(USER, SESSION).token
    place %= len(token)
    if token[place] == ".":
        return
    flipped = alphabet[alphabet.index(token[place]) ^ (1 << bit)]

    refused(token[:place] + flipped + token[place + 1 :])


@given(st.text(max_size=300) | st.from_regex(r"[\w-]{1,80}\.[\w-]{1,80}\.[\w-]{0,80}"))
def test_no_text_causes_another_error(token: str) -> None:
    refused(token)


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2),
    ),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)
def test_no_header_causes_another_error(header: dict[str, Any], claims: dict[str, Any]) -> None:
    refused(raw({"alg": "EdDSA", "kid": KEY_ID, "typ": "at+jwt", **header}, claims, b"x" * 64))


class TestKeyRing:
    def test_a_key_id_is_the_thumbprint_of_rfc_8037(self) -> None:
        # The example of RFC 8037, appendices A.1 and A.3.
        d = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
        key = Ed25519PrivateKey.from_private_bytes(d)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

        ring = KeyRing.from_pem(pem)

        assert ring.signing_key_id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"

    def test_a_generated_key_has_the_id_that_it_was_given(self) -> None:
        key_id, pem = generate_signing_key()

        assert KeyRing.from_pem(pem).signing_key_id == key_id

    def test_no_two_generated_keys_are_the_same(self) -> None:
        assert generate_signing_key() != generate_signing_key()

    @pytest.mark.parametrize("half", ["private", "public"])
    def test_tokens_of_the_key_before_stay_good_after_a_rotation(self, half: str) -> None:
        token = TOKENS.issue(USER, SESSION).token
        public = RING.verification_keys[KEY_ID]
        old = (
            PEM
            if half == "private"
            else public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        )
        new_id, new_pem = generate_signing_key()
        rotated = signed_by(KeyRing.from_pem(new_pem, [old]), CLOCK, timedelta(minutes=10))

        assert rotated.verify(token).user_id == USER.id
        assert jwt.get_unverified_header(rotated.issue(USER, SESSION).token)["kid"] == new_id

    def test_tokens_of_a_key_taken_away_are_refused(self) -> None:
        token = TOKENS.issue(USER, SESSION).token
        _, new_pem = generate_signing_key()
        rotated = signed_by(KeyRing.from_pem(new_pem), CLOCK, timedelta(minutes=10))

        with pytest.raises(NotAuthenticated):
            rotated.verify(token)

    def test_keys_come_from_files_too(self, tmp_path: Path) -> None:
        current, older = tmp_path / "current.pem", tmp_path / "older.pem"
        current.write_text(PEM)
        older_id, older_pem = generate_signing_key()
        older.write_text(older_pem)

        ring = KeyRing.from_files(current, [older])

        assert ring.signing_key_id == KEY_ID
        assert set(ring.verification_keys) == {KEY_ID, older_id}

    def test_the_set_of_public_keys_verifies_what_was_signed(self) -> None:
        older_id, older = generate_signing_key()
        ring = KeyRing.from_pem(PEM, [older])
        keys = {key["kid"]: key for key in ring.public_keys()}
        token = TOKENS.issue(USER, SESSION).token

        assert set(keys) == {KEY_ID, older_id}
        assert all(set(key) == {"kty", "crv", "x", "kid", "use", "alg"} for key in keys.values())
        jwk = jwt.PyJWK.from_dict(dict(keys[KEY_ID]))
        options = {"verify_exp": False, "verify_iat": False}
        claims = jwt.decode(token, jwk, algorithms=["EdDSA"], audience=AUDIENCE, options=options)
        assert claims["iss"] == ISSUER

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UnusableKey, match=r"absent\.pem"):
            KeyRing.from_files(tmp_path / "absent.pem")

    @pytest.mark.parametrize("pem", ["", "nonsense", PEM[:40], PEM.replace("PRIVATE", "PUBLIC")])
    def test_what_is_no_private_key_cannot_sign(self, pem: str) -> None:
        with pytest.raises(UnusableKey):
            KeyRing.from_pem(pem)

    @pytest.mark.parametrize("pem", ["", "nonsense", PEM[:40]])
    def test_what_is_no_key_cannot_verify(self, pem: str) -> None:
        with pytest.raises(UnusableKey):
            KeyRing.from_pem(PEM, [pem])

    @pytest.mark.parametrize(
        "key", [ec.generate_private_key(ec.SECP256R1()), ed448.Ed448PrivateKey.generate()]
    )
    def test_only_ed25519_will_do(self, key: Any) -> None:
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

        with pytest.raises(UnusableKey, match="not an Ed25519 key"):
            KeyRing.from_pem(private)
        with pytest.raises(UnusableKey, match="not an Ed25519 key"):
            KeyRing.from_pem(PEM, [public.decode()])

    def test_neither_the_ring_nor_an_error_shows_a_key(self) -> None:
        secret = PEM.splitlines()[1]
        with pytest.raises(UnusableKey) as problem:
            KeyRing.from_pem(PEM.replace("-----END", "-----NOT"))

        assert secret not in repr(RING)
        assert secret not in f"{problem.value}{problem.value.__cause__}"


class TestRotation:
    def test_the_new_key_is_accepted_at_once_and_signs_later(self) -> None:
        clock = MovableClock()
        rotation = rotated(PEM, clock.now(), signs_in=timedelta(minutes=5), keep_for=DAY)
        tokens = signed_by(KeyRing.from_pem(rotation.text), clock, timedelta(minutes=10))
        before = tokens.issue(USER, SESSION).token
        assert jwt.get_unverified_header(before)["kid"] == KEY_ID
        clock.move(timedelta(minutes=5))
        after = tokens.issue(USER, SESSION).token
        assert jwt.get_unverified_header(after)["kid"] == rotation.added
        for token in (before, after):
            assert tokens.verify(token).user_id == USER.id

    def test_who_has_not_read_the_new_ring_signs_nothing_that_others_refuse(self) -> None:
        clock = MovableClock()
        rotation = rotated(PEM, clock.now(), signs_in=timedelta(minutes=5), keep_for=DAY)
        old = signed_by(RING, clock, timedelta(minutes=10))
        new = signed_by(KeyRing.from_pem(rotation.text), clock, timedelta(minutes=10))
        old.verify(new.issue(USER, SESSION).token)
        clock.move(timedelta(minutes=5))
        new.verify(old.issue(USER, SESSION).token)

    def test_a_key_is_dropped_when_nothing_it_signed_is_good(self) -> None:
        clock = MovableClock()
        first = rotated(PEM, clock.now(), signs_in=timedelta(minutes=5), keep_for=DAY)
        clock.move(DAY)
        second = rotated(first.text, clock.now(), signs_in=timedelta(minutes=5), keep_for=DAY)
        assert (first.dropped, second.dropped) == ((), ())
        clock.move(timedelta(minutes=5))
        third = rotated(second.text, clock.now(), signs_in=timedelta(minutes=5), keep_for=DAY)
        assert third.dropped == (KEY_ID,)
        ring = KeyRing.from_pem(third.text)
        assert [key.signing_key_id for key in ring.signing] == [
            first.added,
            second.added,
            third.added,
        ]

    @pytest.mark.parametrize("line", ["Signs-From: soon", "Signs-From: 2026-12-01T00:00:00"])
    def test_a_moment_must_be_one(self, line: str) -> None:
        with pytest.raises(UnusableKey, match="Signs-From"):
            KeyRing.from_pem(f"{line}\n{PEM}")

    def test_two_keys_cannot_both_always_have_signed(self) -> None:
        with pytest.raises(UnusableKey, match="needs a line Signs-From"):
            KeyRing.from_pem(PEM + generate_signing_key()[1])

    def test_a_rotation_shows_no_secret(self) -> None:
        rotation = rotated(PEM, MovableClock().now(), signs_in=DAY, keep_for=DAY)
        assert "PRIVATE" not in repr(rotation)


class TestReloadedKeyRing:
    def test_a_changed_file_is_read_again(self, tmp_path: Path) -> None:
        file, clock, seconds = tmp_path / "ring.pem", MovableClock(), [0.0]
        file.write_text(PEM)
        ring = ReloadedKeyRing(file, seconds=lambda: seconds[0])
        tokens = SignedAccessTokens(ring, clock, ISSUER, AUDIENCE, timedelta(minutes=10))
        before = tokens.issue(USER, SESSION).token
        rotation = rotated(PEM, clock.now(), signs_in=timedelta(), keep_for=DAY)
        (tmp_path / "next.pem").write_text(rotation.text)
        (tmp_path / "next.pem").replace(file)
        assert jwt.get_unverified_header(tokens.issue(USER, SESSION).token)["kid"] == KEY_ID
        seconds[0] += LOOK_SECONDS
        after = tokens.issue(USER, SESSION).token
        assert jwt.get_unverified_header(after)["kid"] == rotation.added
        assert {key["kid"] for key in tokens.public_keys()} == {KEY_ID, rotation.added}
        tokens.verify(before)

    @pytest.mark.parametrize("broken", ["nonsense", None])
    def test_a_broken_file_takes_no_key_away(self, tmp_path: Path, broken: str | None) -> None:
        file, seconds = tmp_path / "ring.pem", [0.0]
        file.write_text(PEM)
        ring = ReloadedKeyRing(file, seconds=lambda: seconds[0])
        if broken is None:
            file.unlink()
        else:
            file.write_text(broken)
        seconds[0] += LOOK_SECONDS
        assert ring.at(CLOCK.now()).signing_key_id == KEY_ID
        file.write_text(PEM + "\n")
        seconds[0] += LOOK_SECONDS
        assert ring.accepted(KEY_ID) is not None

    def test_without_a_file_there_is_no_ring(self, tmp_path: Path) -> None:
        with pytest.raises(UnusableKey):
            ReloadedKeyRing(tmp_path / "absent.pem")


class TestPepperedRefreshTokens(RefreshTokensContract):
    @pytest.fixture
    def make(self) -> Callable[..., PepperedRefreshTokens]:
        def make(*secrets: str) -> PepperedRefreshTokens:
            versions = range(len(secrets), 0, -1)
            text = " ".join(f"{v}:{each}" for v, each in zip(versions, secrets, strict=True))
            return PepperedRefreshTokens(Peppers.parse(text))

        return make

    @pytest.fixture
    def refresh_tokens(self, make: Callable[..., PepperedRefreshTokens]) -> PepperedRefreshTokens:
        return make("ab" * 32)
