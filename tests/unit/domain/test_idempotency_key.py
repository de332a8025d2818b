"""A key is one to 255 printable ASCII characters, and nothing else."""

import string
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.shared.errors import InvalidValue
from domain.shared.idempotency import HEADER, IdempotencyKey
from domain.shared.ids import UserId

PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "


@given(st.text(PRINTABLE, min_size=1, max_size=255))
def test_printable_ascii_fits(key: str) -> None:
    assert IdempotencyKey(key).value == key


@given(
    st.text(PRINTABLE, max_size=100),
    st.characters(exclude_characters=PRINTABLE),
    st.text(PRINTABLE, max_size=100),
)
def test_one_other_character_spoils_a_key(before: str, other: str, after: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        IdempotencyKey(before + other + after)
    assert refusal.value.field == HEADER


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_none_and_too_much_are_refused(key: str) -> None:
    with pytest.raises(InvalidValue, match="1 to 255"):
        IdempotencyKey(key)


def test_an_operators_key_in_anothers_account_is_theirs_alone() -> None:
    key, one, other = IdempotencyKey("k" * 255), UserId(uuid4()), UserId(uuid4())
    assert key.by(one) == key.by(one)
    assert len({key, key.by(one), key.by(other), IdempotencyKey("k").by(one)}) == 4
