"""What every ``SecondFactorSecrets`` keeps."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pyotp
import pytest

from application.ports.second_factor import SecondFactorSecrets
from domain.identity.second_factor import (
    RECOVERY_CODES,
    STEP_SECONDS,
    read_recovery_code,
    step_at,
)
from domain.shared.ids import UserId
from tests.contracts.samples import new_id

NOW = datetime(2026, 11, 3, 8, 0, 7, tzinfo=UTC)


def app_code(factor: SecondFactorSecrets, secret: bytes, at: datetime) -> str:
    """What an authenticator app shows that was given the secret by its address."""
    app = pyotp.parse_uri(factor.uri(secret, "asha@example.org"))
    assert isinstance(app, pyotp.TOTP)
    return app.at(at)


class SecondFactorSecretsContract:
    """Subclasses provide ``factor``."""

    @pytest.mark.parametrize("late", [-1, 0, 1])
    def test_a_code_is_good_in_its_step_and_the_ones_beside_it(
        self, factor: SecondFactorSecrets, late: int
    ) -> None:
        secret = factor.new_secret()
        code = app_code(factor, secret, NOW)
        now = NOW + timedelta(seconds=late * STEP_SECONDS)
        assert factor.matching_step(secret, code, now) == step_at(NOW)

    @pytest.mark.parametrize("late", [-3, -2, 2, 3, 2880])
    def test_and_not_beyond(self, factor: SecondFactorSecrets, late: int) -> None:
        secret = b"12345678901234567890"  # no code of it stands twice within these steps
        code = app_code(factor, secret, NOW)
        now = NOW + timedelta(seconds=late * STEP_SECONDS)
        assert factor.matching_step(secret, code, now) is None

    def test_anothers_code_is_wrong(self, factor: SecondFactorSecrets) -> None:
        code = app_code(factor, b"12345678901234567890", NOW)
        assert factor.matching_step(b"09876543210987654321", code, NOW) is None

    def test_secrets_differ_and_are_long(self, factor: SecondFactorSecrets) -> None:
        made = {factor.new_secret() for _ in range(50)}
        assert len(made) == 50
        assert min(map(len, made)) >= 20

    def test_the_address_names_us_and_the_account(self, factor: SecondFactorSecrets) -> None:
        secret = factor.new_secret()
        address = urlsplit(factor.uri(secret, "asha+x@example.org"))
        said = parse_qs(address.query)
        assert (address.scheme, address.netloc) == ("otpauth", "totp")
        assert unquote(address.path).endswith(":asha+x@example.org")
        assert said["secret"] == [factor.written(secret)]
        assert said["issuer"]

    def test_the_drawing_is_svg_without_anything_active(self, factor: SecondFactorSecrets) -> None:
        drawing = factor.drawn(factor.uri(factor.new_secret(), "asha@example.org"))
        tree = ElementTree.fromstring(drawing)
        assert tree.tag == "{http://www.w3.org/2000/svg}svg"
        tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
        assert tags <= {"svg", "path", "rect", "g"}

    def test_recovery_codes_differ_and_read_as_they_are_written(
        self, factor: SecondFactorSecrets
    ) -> None:
        codes = {factor.new_recovery_code() for _ in range(RECOVERY_CODES)}
        assert len(codes) == RECOVERY_CODES
        assert {read_recovery_code(code) for code in codes} == codes

    def test_a_recovery_code_is_kept_as_its_owners(self, factor: SecondFactorSecrets) -> None:
        owner, other = UserId(new_id()), UserId(new_id())
        code = factor.new_recovery_code()
        assert factor.digests(code, owner) == factor.digests(code, owner)
        assert not set(factor.digests(code, owner)) & set(factor.digests(code, other))
        assert code not in factor.digests(code, owner)

    def test_tokens_differ_and_are_kept_otherwise(self, factor: SecondFactorSecrets) -> None:
        first, second = factor.new_token(), factor.new_token()
        digests = {factor.token_digest(token) for token in (first, second, "", "\ud800")}
        assert len(digests) == 4
        assert not digests & {first, second}
        assert factor.token_digest(first) == factor.token_digest(first)
