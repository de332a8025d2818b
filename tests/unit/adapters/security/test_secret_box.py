"""Secrets at rest: altered or misplaced they do not open, and keys rotate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.security import AesGcmSecretBox, BoxKeys, UnusableKey, generate_box_key
from application.ports.security import SecretUnreadable
from tests.contracts.security_contract import SecretBoxContract

ONE, TWO = "1:" + "a1" * 32, "2:" + "b2" * 32


def box_of(*keys: str) -> AesGcmSecretBox:
    return AesGcmSecretBox(BoxKeys.parse(" ".join(keys)))


class TestAesGcmSecretBox(SecretBoxContract):
    @pytest.fixture
    def box(self) -> AesGcmSecretBox:
        return box_of(generate_box_key())


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_no_bit_can_be_changed(place: int, bit: int) -> None:
    box = box_of(ONE, TWO)
    sealed = bytearray(box.seal(b"the secret of an endpoint", "e"))
    sealed[place % len(sealed)] ^= 1 << bit
    with pytest.raises(SecretUnreadable):
        box.open(bytes(sealed), "e")


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    box = box_of(ONE)
    assert box.seal(b"secret", "e") != box.seal(b"secret", "e")


def test_a_newer_key_seals_and_the_older_still_opens() -> None:
    before = box_of(ONE).seal(b"secret", "e")
    both = box_of(ONE, TWO)
    assert both.open(before, "e") == b"secret"
    after = both.seal(b"secret", "e")
    assert box_of(TWO).open(after, "e") == b"secret"
    with pytest.raises(SecretUnreadable, match="not there"):
        box_of(TWO).open(before, "e")


def test_a_key_of_the_same_version_and_another_value_opens_nothing() -> None:
    with pytest.raises(SecretUnreadable):
        box_of("1:" + "cc" * 32).open(box_of(ONE).seal(b"secret", "e"), "e")


@pytest.mark.parametrize(
    "text", ["", "1", "1:", "1:zz", "1:" + "a" * 62, "0:" + "a" * 64, "70000:" + "a" * 64, "x:y"]
)
def test_a_key_that_does_not_fit_is_refused_unshown(text: str) -> None:
    with pytest.raises(UnusableKey) as refusal:
        BoxKeys.parse(text)
    assert "aaaa" not in str(refusal.value)


def test_a_version_stands_once() -> None:
    with pytest.raises(UnusableKey):
        BoxKeys.parse(f"{ONE}, {ONE}")
