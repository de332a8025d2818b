"""What written code is sent back for."""

from dataclasses import replace

import pytest

from domain.agents.artifacts import Codebase
from domain.agents.review import review_codebase
from tests.unit.agents import samples


def found(codebase: Codebase) -> set[str]:
    findings = review_codebase(codebase, samples.requirements(), samples.plan())
    return {finding.code for finding in findings}


def found_in(source: str) -> set[str]:
    """The codes found in one more source file, imports and plan apart."""
    made = samples.with_file(samples.codebase(), "more.py", source)
    findings = review_codebase(made, samples.requirements())
    return {finding.code for finding in findings}


def test_files_are_those_of_the_plan() -> None:
    made = samples.codebase()
    assert "missing_file" in found(replace(made, files=made.files[1:]))
    assert found(samples.with_file(made, "more.py", "VALUE = 1\n")) == {"unplanned_file"}


def test_a_path_twice_is_refused() -> None:
    made = samples.codebase()
    assert "path_collision" in found(replace(made, files=(*made.files, made.files[0])))


def test_every_planned_symbol_is_really_defined() -> None:
    without = samples.APP.replace("def encode", "def decode")
    assert found(samples.codebase(app=without)) == {"missing_symbol"}


def test_a_symbol_that_is_only_mentioned_is_not_defined() -> None:
    mentioned = samples.APP.replace("def encode", "# encode\nvalue = 'encode'\ndef decode")
    assert found(samples.codebase(app=mentioned)) == {"missing_symbol"}


def test_what_does_not_parse_is_sent_back() -> None:
    assert "does_not_parse" in found_in("def broken(:\n    return 1\n")
    assert "does_not_parse" in found_in("x = 1\0\n")


@pytest.mark.parametrize(
    "source",
    [
        "def add(a, b):\n    ...\n",
        "def add(a, b):\n    pass\n",
        "def add(a, b):\n    '''Add two numbers.'''\n",
        "def add(a, b):\n    raise NotImplementedError\n",
        "def add(a, b):\n    '''Add.'''\n    raise NotImplementedError('later')\n",
        "async def add(a, b):\n    pass\n",
        "class Sum:\n    def add(self, a, b):\n        raise NotImplementedError()\n",
        "class Sum:\n    def add(self, a, b):\n        pass\n",
        "def outer():\n    def inner():\n        ...\n    return inner\n",
        "def add(a, b):\n    if a:\n        ...\n    return b\n",
        "def add(a, b):\n    # TODO: add\n    return 0\n",
        "def add(a, b):\n    return 0  # FIXME wrong\n",
        "def add(a, b):\n    # Implement me\n    return 0\n",
        "def add(a, b):\n    # your code here\n    return 0\n",
        "def add(a, b):\n    return a\n\n# ... rest of the code\n",
        "def add(a, b):\n    return a\n\n# ...\n",
        "def add(a, b):\n    return a\n# remaining methods unchanged\n",
        "def add(a, b):\n    '''TODO.'''\n    return 0\n",
        "VALUE = 1\n...\n",
        "# nothing here\n",
        "class Sum:\n    # (omitted for brevity)\n    pass\n",
        "class Handler(Base):\n    def do_POST(self):\n        pass\n",
    ],
)
def test_placeholders_are_refused(source: str) -> None:
    assert "placeholder" in found_in(source)


@pytest.mark.parametrize(
    "source",
    [
        "from typing import Protocol\nclass P(Protocol):\n    def a(self) -> int: ...\n",
        "from typing import Protocol\nclass P(Protocol[int]):\n    def a(self) -> int: ...\n",
        "import abc\nclass A(abc.ABC):\n    @abc.abstractmethod\n    def a(self): ...\n",
        "from typing import overload\n@overload\ndef a(x: int) -> int: ...\ndef a(x): return x\n",
        "class A:\n    def a(self): raise NotImplementedError\n"
        "class B(A):\n    def a(self): return 1\n",
        "class A:\n    def a(self): pass\nclass B(A):\n    def a(self): return 1\n",
        "class Missing(Exception):\n    pass\n",
        "class Missing(Exception):\n    '''No such loan.'''\n",
        "try:\n    import json\nexcept ValueError:\n    pass\n",
        "class H(Base):\n    def log_message(self, *args):\n        pass\n",
        "class M:\n    def close(self):\n        '''Nothing to close: rows are in memory.'''\n",
        "class M:\n    def close(self):\n        pass  # deliberately empty\n",
        "def total(rows: tuple[int, ...]) -> int:\n    return sum(rows)\n",
        "EMPTY = ...\n",
        "# Each todo has a title; the TODO list is sorted.\nVALUE = 1\n",
        "# ... and this comment goes on from above\nVALUE = 1\n",
        "TITLE = 'TODO: buy milk'\n",
        "def area(side):\n    if side < 0:\n        raise NotImplementedError\n    return side\n",
        "class M:\n    x: int = 1\n",
    ],
)
def test_what_is_meant_to_be_short_is_let_through(source: str) -> None:
    assert found_in(source) == set()


def test_elision_is_refused_in_other_languages_too() -> None:
    made = samples.codebase()
    for path, content in (
        ("page.html", "<p>x</p>\n<!-- rest of the code -->\n"),
        ("schema.sql", "CREATE TABLE a (b int);\n...\n"),
        ("page.js", "const a = 1;\n// TODO: more\n"),
    ):
        changed = samples.with_file(made, path, content)
        assert {f.code for f in review_codebase(changed, samples.requirements())} == {"placeholder"}


def test_a_readme_may_speak_of_what_is_left_to_do() -> None:
    changed = samples.with_file(samples.codebase(), "README.md", "# TODO\n...\n")
    assert review_codebase(changed, samples.requirements()) == ()


@pytest.mark.parametrize("line", ["import flask", "from requests.api import get", "import a.b"])
def test_only_the_standard_library_and_own_modules_are_imported(line: str) -> None:
    assert found_in(f"{line}\n") == {"foreign_import"}


@pytest.mark.parametrize(
    "line",
    [
        "import sqlite3",
        "from app import Library",
        "from tests.test_app import LibraryTest",
        "from . import store",
        "from __future__ import annotations",
        "try:\n    import orjson\nexcept ImportError:\n    orjson = None",
    ],
)
def test_imports_that_resolve_are_let_through(line: str) -> None:
    assert found_in(f"{line}\nVALUE = 1\n") == set()


def test_a_must_have_no_test_names_is_sent_back() -> None:
    made = samples.codebase(tests=samples.TESTS.replace("FR-2", "FR-22"))
    assert found(made) == {"not_tested", "unknown_id"}


@pytest.mark.parametrize(
    "body",
    ["Library()", "self.assertTrue(True)", "assert True", "print(Library().borrow('Emma'))"],
)
def test_a_test_that_cannot_fail_is_refused(body: str) -> None:
    changed = samples.TESTS + f"\n    def test_more(self) -> None:\n        {body}\n"
    assert found(samples.codebase(tests=changed)) == {"empty_test"}


@pytest.mark.parametrize(
    "body",
    [
        "assert Library()",
        "self.check_listed('Emma')",
        "with self.assertRaises(ValueError):\n            Library()",
    ],
)
def test_a_test_may_check_in_its_own_way(body: str) -> None:
    changed = samples.TESTS + f"\n    def test_more(self) -> None:\n        {body}\n"
    assert found(samples.codebase(tests=changed)) == set()
