"""Cursors of named groups."""

import pytest

from domain.shared.errors import InvalidValue
from entrypoints.http.cursors import key_cursor_after, key_of


@pytest.mark.parametrize("key", ["", "=", "claude", "2026-11-24", "मॉडल"])
def test_a_page_goes_on_behind_any_key_the_empty_one_too(key: str) -> None:
    cursor = key_cursor_after([key, "another"], 1)
    assert cursor
    assert key_of(cursor) == key


def test_the_last_page_has_no_cursor_and_the_first_needs_none() -> None:
    assert key_cursor_after(["only"], 1) is None
    assert key_of("") is None


@pytest.mark.parametrize("cursor", ["!!", "bm90IGEgZGF5", "_w", "PQBh"])
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        key_of(cursor)
    assert refused.value.field == "cursor"
