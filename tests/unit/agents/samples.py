"""A small library system that passes every check: what tests bend to break one rule."""

from dataclasses import replace
from typing import TypeVar

from domain.agents.artifacts import (
    Acceptance,
    Action,
    Actor,
    Cardinality,
    CheckName,
    CheckRun,
    Codebase,
    CodePlan,
    Entity,
    EntityField,
    Feature,
    FieldType,
    IdeaBrief,
    Language,
    Persona,
    PlannedFile,
    Priority,
    ProductSpec,
    QualityRequirement,
    Relation,
    Release,
    RepairAttempt,
    Requirement,
    Requirements,
    Risk,
    SourceFile,
    SuccessMetric,
    Term,
    TestCase,
    TraceRow,
    UseCase,
    Verification,
    VerificationStatus,
    WrittenFile,
)

_T = TypeVar("_T")


def brief() -> IdeaBrief:
    return IdeaBrief(
        title="College Library",
        summary="Members borrow books and librarians manage them.",
        problem="Loans are kept on paper and get lost.",
        actors=(
            Actor(name="Member", description="Borrows books."),
            Actor(name="Librarian", description="Manages books."),
        ),
        goals=("Know where each book is.",),
        entities=(
            Entity(
                name="Book",
                plural="Books",
                description="A title on the shelf.",
                fields=(
                    EntityField(
                        name="title", type=FieldType.TEXT, required=True, description="Its title."
                    ),
                    EntityField(
                        name="state",
                        type=FieldType.CHOICE,
                        required=True,
                        description="Where it is.",
                        choices=("on shelf", "lent"),
                    ),
                ),
            ),
            Entity(
                name="Loan",
                plural="Loans",
                description="A book out of the house.",
                fields=(
                    EntityField(
                        name="due_on", type=FieldType.DATE, required=True, description="Last day."
                    ),
                ),
            ),
        ),
        relations=(
            Relation(
                source="Loan",
                target="Book",
                name="book",
                cardinality=Cardinality.MANY_TO_ONE,
                required=True,
            ),
        ),
        actions=(
            Action(actor="Member", verb="borrow", entity="Loan", description="Takes a book."),
            Action(actor="Librarian", verb="add", entity="Book", description="Records a book."),
        ),
        assumptions=("One library.",),
        out_of_scope=("Electronic books.",),
        open_questions=("How long is a loan?",),
    )


def requirement(number: int = 1, **changes: object) -> Requirement:
    made = Requirement(
        id=f"FR-{number}",
        title=f"Borrow {number}",
        statement=f"The system shall record loan {number} of a member.",
        priority=Priority.MUST,
        rationale="Loans get lost.",
        acceptance=(
            Acceptance(
                given="a book on the shelf",
                when="a member borrows it",
                then="the list of loans shows it with status 201",
            ),
        ),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # tests name the fields


def requirements() -> Requirements:
    return Requirements(
        title="College Library",
        purpose="To say what the library system does.",
        scope="Loans and books of one library.",
        functional=(
            requirement(1),
            requirement(2, title="Add a book", statement="The system shall store a book."),
        ),
        quality=(
            QualityRequirement(
                id="NFR-1",
                category="Performance efficiency",
                statement="The system shall answer a list of loans within its time limit.",
                measure="95 % of answers within 300 ms over 100 requests",
            ),
        ),
        use_cases=(
            UseCase(
                id="UC-1",
                title="Borrow a book",
                actor="Member",
                requirement_ids=("FR-1",),
                preconditions=("The book is on the shelf.",),
                main_flow=("The member picks the book.", "The system records the loan."),
                alternate_flows=("1a. The book is lent: the system refuses with a reason.",),
                postconditions=("The loan is listed.",),
            ),
            UseCase(
                id="UC-2",
                title="Add a book",
                actor="Librarian",
                requirement_ids=("FR-2", "NFR-1"),
                preconditions=(),
                main_flow=("The librarian enters the title.",),
                alternate_flows=(),
                postconditions=(),
            ),
        ),
        interfaces=("A JSON interface over HTTP.",),
        constraints=("Only the Python standard library.",),
        glossary=(Term(term="Loan", meaning="A book out of the house."),),
    )


def product() -> ProductSpec:
    return ProductSpec(
        title="College Library",
        vision="No loan is lost.",
        problem="Loans are kept on paper.",
        personas=(
            Persona(
                name="Member",
                role="Student",
                needs=("To see due dates.",),
                pains=("Fines that surprise.",),
            ),
        ),
        features=(
            Feature(
                id="F-1",
                name="Lending",
                story="As a member, I borrow a book.",
                priority=Priority.MUST,
                done_when=("A loan is listed after it was made.",),
            ),
        ),
        metrics=(
            SuccessMetric(
                name="Lost loans", target="0 a month", measured_by="Loans without a return."
            ),
        ),
        releases=(Release(name="First", feature_ids=("F-1",), outcome="Loans are recorded."),),
        risks=(Risk(description="Paper goes on.", mitigation="Import on the first day."),),
    )


APP = '''"""The library."""

import json

from store import Loans


class Library:
    """Keeps loans. Answers FR-1."""

    def __init__(self) -> None:
        self.loans = Loans()

    def borrow(self, title: str) -> dict[str, str]:
        """Record a loan (FR-1)."""
        return self.loans.add(title)


def encode(value: object) -> str:
    """Text for the wire."""
    return json.dumps(value)
'''

STORE = '''"""What is kept."""


class Loans:
    """Loans in memory. Answers FR-2."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []

    def add(self, title: str) -> dict[str, str]:
        row = {"title": title}
        self.rows.append(row)
        return row
'''

TESTS = '''"""Tests of the library."""

import unittest

from app import Library


class LibraryTest(unittest.TestCase):
    def test_borrow(self) -> None:
        """FR-1: a loan is listed."""
        self.assertEqual(Library().borrow("Emma"), {"title": "Emma"})

    def test_add(self) -> None:
        """FR-2: a book is stored."""
        library = Library()
        library.borrow("Emma")
        self.assertEqual(len(library.loans.rows), 1)
'''


def plan() -> CodePlan:
    return CodePlan(
        title="College Library",
        language=Language.PYTHON,
        architecture="One module over one store.",
        files=(
            planned("app.py", ("FR-1",), ("Library", "Library.borrow", "encode")),
            planned("store.py", ("FR-2",), ("Loans",)),
            planned("tests/test_app.py", ("FR-1", "FR-2"), ("LibraryTest",), is_test=True),
        ),
        start=("python3", "app.py"),
        test=("python3", "-m", "unittest", "discover"),
        probe_path="/health",
    )


def planned(
    path: str, ids: tuple[str, ...], symbols: tuple[str, ...], *, is_test: bool = False
) -> PlannedFile:
    return PlannedFile(
        path=path, purpose="It is needed.", requirement_ids=ids, symbols=symbols, is_test=is_test
    )


def codebase(**contents: str) -> Codebase:
    """The library's code; ``app``, ``store`` and ``tests`` replace a file's text."""
    texts = {"app": APP, "store": STORE, "tests": TESTS} | contents
    by_path = {
        "app.py": texts["app"],
        "store.py": texts["store"],
        "tests/test_app.py": texts["tests"],
    }
    made = plan()
    return Codebase(
        title=made.title,
        language=made.language,
        architecture=made.architecture,
        files=tuple(
            SourceFile(
                path=file.path,
                content=by_path[file.path],
                purpose=file.purpose,
                requirement_ids=file.requirement_ids,
                symbols=file.symbols,
                is_test=file.is_test,
            )
            for file in made.files
        ),
        start=made.start,
        test=made.test,
        probe_path=made.probe_path,
    )


def with_file(base: Codebase, path: str, content: str, *, is_test: bool = False) -> Codebase:
    extra = SourceFile(
        path=path,
        content=content,
        purpose="It is needed.",
        requirement_ids=(),
        symbols=(),
        is_test=is_test,
    )
    return replace(base, files=(*base.files, extra))


def ran(name: str, *, passed: bool = True, skipped: bool = False, detail: str = "") -> TestCase:
    return TestCase(
        id=f"tests.test_app.LibraryTest.{name}",
        passed=passed and not skipped,
        skipped=skipped,
        duration_ms=2,
        detail=detail,
    )


def run_of_tests(*tests: TestCase, output: str = "", passed: bool = False) -> CheckRun:
    return CheckRun(
        name=CheckName.TEST,
        command=("python3", "-m", "unittest"),
        outcome="exited",
        exit_code=0 if passed else 1,
        passed=passed,
        duration_ms=1234,
        output=output,
        tests=tests,
    )


def verification(status: VerificationStatus = VerificationStatus.FAILED) -> Verification:
    """Built and started; of three tests one passed, one failed and one was skipped."""
    failed = status is VerificationStatus.FAILED
    tests = (
        ran("test_borrow"),
        ran("test_add", passed=not failed, detail="AssertionError: 0 != 1" if failed else ""),
        ran("test_later", skipped=True, detail="not on this host"),
    )

    def stage(name: CheckName, *command: str) -> CheckRun:
        return CheckRun(
            name=name,
            command=command,
            outcome="exited",
            exit_code=0,
            passed=True,
            duration_ms=310,
            output="ok",
        )

    return Verification(
        status=status,
        summary="One of three tests failed." if failed else "All ran.",
        isolation="bubblewrap, no network",
        checks=(
            stage(CheckName.BUILD, "python3", "-m", "compileall", "."),
            stage(CheckName.START, "python3", "app.py"),
            run_of_tests(
                *tests, output="FAILED (failures=1)" if failed else "OK", passed=not failed
            ),
        ),
        attempts=(
            RepairAttempt(
                number=1,
                signature="test: tests.test_app.LibraryTest.test_add [0123456789abcdef]",
                failed_check=CheckName.TEST,
                changed_paths=("store.py",),
            ),
        ),
        repairs=(WrittenFile(path="store.py", content=STORE),),
        matrix=(
            TraceRow(
                requirement_id="FR-1",
                title="Borrow 1",
                priority=Priority.MUST,
                use_case_ids=("UC-1",),
                files=("app.py",),
                symbols=("Library", "Library.borrow"),
                tests=("tests.test_app.LibraryTest.test_borrow",),
                status="passed",
            ),
            TraceRow(
                requirement_id="FR-2",
                title="Add a book",
                priority=Priority.MUST,
                use_case_ids=("UC-2",),
                files=("store.py",),
                symbols=("Loans",),
                tests=("tests.test_app.LibraryTest.test_add",),
                status="failed" if failed else "passed",
            ),
        ),
    )
