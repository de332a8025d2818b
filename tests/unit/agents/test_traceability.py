"""The matrix says of a requirement only what files and recorded runs say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.agents.artifacts import TestCase
from domain.agents.traceability import requirement_ids, requirements_of_tests, trace
from tests.unit.agents import samples

BORROW = "tests.test_app.LibraryTest.test_borrow"
ADD = "tests.test_app.LibraryTest.test_add"


def status_of_the_first(*tests: TestCase, tests_text: str = samples.TESTS) -> str:
    made = samples.codebase(tests=tests_text)
    return trace(samples.requirements(), made, tests)[0].status


def test_a_row_leads_from_the_requirement_to_its_tests() -> None:
    rows = trace(samples.requirements(), samples.codebase(), [samples.ran("test_borrow")])
    first, second = rows
    assert (first.requirement_id, first.use_case_ids, first.files) == (
        "FR-1",
        ("UC-1",),
        ("app.py",),
    )
    assert (first.tests, first.status) == ((BORROW,), "passed")
    assert (second.tests, second.status) == ((ADD,), "not run")


def test_symbols_are_those_that_name_the_requirement_or_else_all_of_the_file() -> None:
    first, second = trace(samples.requirements(), samples.codebase(), [])
    assert first.symbols == ("Library", "Library.borrow")
    unnamed = samples.codebase(app=samples.APP.replace("FR-1", "it"))
    assert trace(samples.requirements(), unnamed, [])[0].symbols == (
        "Library",
        "Library.borrow",
        "encode",
    )
    assert second.symbols == ("Loans",)


@pytest.mark.parametrize(
    ("case", "status"),
    [
        (samples.ran("test_borrow"), "passed"),
        (samples.ran("test_borrow", passed=False), "failed"),
        (samples.ran("test_borrow", skipped=True), "not run"),
        (samples.ran("test_other"), "not run"),
    ],
)
def test_the_status_is_what_the_run_recorded(case: TestCase, status: str) -> None:
    assert status_of_the_first(case) == status


def test_nothing_passes_without_a_test_that_names_it() -> None:
    unnamed = samples.TESTS.replace("FR-1", "A loan")
    assert status_of_the_first(samples.ran("test_borrow"), tests_text=unnamed) == "untested"


def test_one_failing_test_of_many_fails_the_requirement() -> None:
    both = samples.TESTS.replace("FR-2", "FR-1")
    runs = samples.ran("test_borrow"), samples.ran("test_add", passed=False)
    assert status_of_the_first(*runs, tests_text=both) == "failed"
    assert status_of_the_first(runs[0], tests_text=both) == "not run"


def test_a_failing_subtest_fails_its_test() -> None:
    runs = samples.ran("test_borrow"), samples.ran("test_borrow (copies=2)", passed=False)
    assert status_of_the_first(*runs) == "failed"


def test_ids_recorded_from_inside_the_tests_folder_are_matched() -> None:
    case = TestCase(
        id="test_app.LibraryTest.test_borrow", passed=True, skipped=False, duration_ms=1
    )
    assert status_of_the_first(case) == "passed"


def test_ids_are_read_from_docstrings_names_and_comments() -> None:
    text = '''
import unittest

class NamedTest(unittest.TestCase):
    """FR-9 stands on the class and is claimed by no method."""

    def test_fr_1_in_the_name(self): ...

    # FR-2 stands above.
    def test_above(self): ...

    def test_inside(self):
        # This is FR-3, and NFR-1 too.
        "FR-4 in a string proves nothing"
        text = "FR-5"

    def helper(self):
        """FR-6"""
'''
    ids = requirements_of_tests(samples.codebase(tests=text))
    by_name = {test.rsplit(".", 1)[1]: found for test, found in ids.items()}
    assert by_name == {
        "test_fr_1_in_the_name": {"FR-1"},
        "test_above": {"FR-2"},
        "test_inside": {"FR-3", "NFR-1", "FR-4"},
    }


def test_inherited_tests_count_under_the_class_that_runs_them() -> None:
    text = '''
import unittest

class Shared:
    def test_borrow(self):
        """FR-1"""

class MemoryTest(Shared, unittest.TestCase): pass
'''
    ids = requirements_of_tests(samples.codebase(tests=text))
    assert dict(ids) == {"tests.test_app.MemoryTest.test_borrow": {"FR-1"}}


def test_tests_that_do_not_parse_prove_nothing() -> None:
    assert requirements_of_tests(samples.codebase(tests="def (:")) == {}


@given(st.integers(0, 200), st.integers(0, 200))
def test_an_id_matches_itself_and_no_other(wanted: int, written: int) -> None:
    found = requirement_ids(f"checks (FR-{written}), and NFR-{written + 1}; xFR-7 FR-7x FR-7_8.")
    assert (f"FR-{wanted}" in found) == (wanted == written)
