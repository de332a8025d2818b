"""RFC 6238's own figures, and recovery codes under peppers."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from adapters.security import OneTimeSecrets, Peppers, generate_pepper
from domain.shared.ids import UserId
from tests.contracts.second_factor_contract import SecondFactorSecretsContract

OWNER = UserId(UUID(int=7))


class TestOneTimeSecrets(SecondFactorSecretsContract):
    @pytest.fixture
    def factor(self) -> OneTimeSecrets:
        return OneTimeSecrets(Peppers.parse(generate_pepper()))


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_rfc_6238_appendix_b(seconds: int, code: str) -> None:
    """The last six of the eight digits there, for its SHA-1 secret."""
    factor = OneTimeSecrets(Peppers.parse(generate_pepper()))
    now = datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
    assert factor.matching_step(b"12345678901234567890", code, now) == seconds // 30


def test_codes_of_an_older_pepper_are_accepted_and_the_newest_is_kept() -> None:
    older, newer = generate_pepper(1), generate_pepper(2)
    before = OneTimeSecrets(Peppers.parse(older))
    after = OneTimeSecrets(Peppers.parse(f"{older} {newer}"))
    code = before.new_recovery_code()
    kept = before.digests(code, OWNER)[0]
    assert kept in after.digests(code, OWNER)
    assert after.digests(code, OWNER)[0] != kept
