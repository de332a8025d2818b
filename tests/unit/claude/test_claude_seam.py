"""Joining the parts of a cut answer."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.claude.seam import LONG_OVERLAP, continuation

# Every window of 16 characters in it is different from every other.
ANSWER = json.dumps({"files": [{"path": f"src/m{n:03}.py", "n": n * 7919} for n in range(60)]})

cuts = st.integers(1, len(ANSWER) - 1)


@given(cut=cuts, data=st.data())
def test_a_part_that_repeats_the_end_is_joined_without_it(cut: int, data: st.DataObject) -> None:
    repeated = data.draw(st.integers(min(cut, LONG_OVERLAP), cut))
    before, part = ANSWER[:cut], ANSWER[cut - repeated :]

    assert before + continuation(before, part, whole=True) == ANSWER


@given(cut=cuts, data=st.data())
def test_a_last_part_that_repeats_a_few_characters_is_joined_by_what_parses(
    cut: int, data: st.DataObject
) -> None:
    repeated = data.draw(st.integers(0, min(cut, LONG_OVERLAP - 1)))
    before, part = ANSWER[:cut], ANSWER[cut - repeated :]

    joined = before + continuation(before, part, whole=True)

    # Inside a string or a number, a few characters twice may parse as well.
    assert joined == ANSWER or json.loads(joined)


@given(cut=cuts, end=cuts)
def test_a_middle_part_that_repeats_nothing_is_kept_as_it_is(cut: int, end: int) -> None:
    cut, end = min(cut, end), max(cut, end)
    before, part = ANSWER[:cut], ANSWER[cut:end]

    assert continuation(before, part, whole=False) == part


@given(cuts=st.lists(cuts, min_size=2, max_size=6, unique=True).map(sorted))
def test_any_number_of_parts_join_to_the_answer(cuts: list[int]) -> None:
    edges = [0, *cuts, len(ANSWER)]
    joined = ""
    for start, end in itertools.pairwise(edges):
        part = ANSWER[max(0, start - 40) : end]
        joined += continuation(joined, part, whole=end == len(ANSWER)) if joined else part

    assert joined == ANSWER


@given(text=st.text(min_size=1, max_size=80), cut=st.integers(1, 80))
def test_a_last_part_is_never_trimmed_where_the_join_is_whole_already(text: str, cut: int) -> None:
    answer = json.dumps({"text": text}, ensure_ascii=False)
    cut = min(cut, len(answer) - 1)
    before, part = answer[:cut], answer[cut:]
    if len(part) >= LONG_OVERLAP and before.endswith(part[:LONG_OVERLAP]):
        return  # such a text cannot be told from a repetition

    assert before + continuation(before, part, whole=True) == answer


def test_a_run_of_blanks_is_not_taken_for_a_repetition() -> None:
    before, part = '{"a":' + " " * 40, " " * 20 + "1"

    assert continuation(before, part, whole=False) == part


@pytest.mark.parametrize("opening", ["```json\n", "```\n", "\n```json \n"])
def test_a_code_fence_and_a_closing_remark_are_dropped(opening: str) -> None:
    before, rest = ANSWER[:500], ANSWER[500:]

    part = continuation(before, f"{opening}{rest}\n```\nThat is all.", whole=True)

    assert before + part == ANSWER


def test_a_fence_inside_a_string_is_text() -> None:
    before, part = '{"readme": "', '```python\\nprint()\\n```"}'

    assert continuation(before, part, whole=True) == part


def test_an_answer_begun_anew_replaces_nothing_twice() -> None:
    before = ANSWER[:700]

    assert before + continuation(before, ANSWER, whole=True) == ANSWER


def test_what_does_not_parse_is_left_for_the_reader_to_find() -> None:
    assert continuation('{"a": ', "oops", whole=True) == "oops"
