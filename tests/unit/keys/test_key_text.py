"""A key's text: read as it was made, and turned away when a character is wrong."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.keys.key_text import (
    ALPHABET,
    CHECKSUM_LENGTH,
    RANDOM_LENGTH,
    SHOWN_LENGTH,
    KeyEnvironment,
    MalformedKey,
    compose,
    parse,
)

RANDOM = st.text(ALPHABET, min_size=RANDOM_LENGTH, max_size=RANDOM_LENGTH)
KEYS = st.builds(compose, st.sampled_from(KeyEnvironment), RANDOM)


@given(KEYS)
def test_a_key_is_read_as_it_was_made(key) -> None:
    assert parse(key.text) == key
    assert key.text.startswith(key.prefix)
    assert key.text.endswith(key.last_four)


@given(KEYS, st.data())
def test_every_change_of_one_character_is_caught(key, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(key.text) - 1))
    other = data.draw(st.one_of(st.sampled_from(ALPHABET + "_-"), st.characters()))
    changed = key.text[:at] + other + key.text[at + 1 :]
    if changed == key.text:
        return
    with pytest.raises(MalformedKey):
        parse(changed)


def test_every_change_of_one_character_of_one_key_is_caught() -> None:
    text = compose(KeyEnvironment.LIVE, ALPHABET[:RANDOM_LENGTH]).text
    changes = {
        text[:at] + other + text[at + 1 :]
        for at in range(len(text))
        for other in f"{ALPHABET}_- "
        if other != text[at]
    }
    assert len(changes) > 3_000
    for changed in changes:
        with pytest.raises(MalformedKey):
            parse(changed)


@given(KEYS, st.data())
def test_a_key_with_a_character_too_few_or_too_many_is_caught(key, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(key.text)))
    more = data.draw(st.sampled_from(ALPHABET))
    for changed in (key.text[:at] + key.text[at + 1 :], key.text[:at] + more + key.text[at:]):
        if changed != key.text:
            with pytest.raises(MalformedKey):
                parse(changed)


@given(st.text())
def test_whatever_is_sent_is_read_or_refused(text: str) -> None:
    with suppress(MalformedKey):
        assert parse(text).text == text


def test_what_nobody_sees_of_a_key_has_more_than_160_bits() -> None:
    # The last four are of the checksum, so they tell at most that much about the rest.
    seen = SHOWN_LENGTH + min(SHOWN_LENGTH, CHECKSUM_LENGTH)
    assert (RANDOM_LENGTH - seen) * math.log2(len(ALPHABET)) > 160


def test_a_key_is_not_shown_by_accident() -> None:
    key = compose(KeyEnvironment.TEST, "x" * RANDOM_LENGTH)
    assert key.text not in repr(key) + str(key)


@pytest.mark.parametrize("random", ["", "x" * (RANDOM_LENGTH - 1), "x" * (RANDOM_LENGTH - 1) + "é"])
def test_only_the_alphabet_makes_a_key(random: str) -> None:
    with pytest.raises(ValueError, match="base 62"):
        compose(KeyEnvironment.LIVE, random)
