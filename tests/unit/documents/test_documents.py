"""What each type of document says, in both formats."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from functools import cache
from io import BytesIO
from pathlib import Path

import docx
import pytest
from docx.oxml.ns import qn

from adapters.documents.markdown import write_markdown
from adapters.documents.renderer import document_of, filename, render_document
from application.ports.documents import DocumentFormat, DocumentSource
from domain.agents.artifacts import Artifact, Verification, VerificationStatus
from domain.agents.findings import Finding, Severity
from domain.agents.pipelines import DocumentType
from tests.contracts.document_renderer_contract import ARTIFACTS, WRITTEN, source
from tests.unit.agents import samples
from tests.unit.documents.test_markdown import parsed, shown


@cache
def rendered(made: DocumentSource) -> tuple[str, bytes]:
    by_format = {document.format: document.data for document in render_document(made)}
    return by_format[DocumentFormat.MARKDOWN].decode(), by_format[DocumentFormat.DOCX]


def markdown(type_: DocumentType, artifact: Artifact | None = None, **changes: object) -> str:
    changes |= {"artifact": artifact} if artifact is not None else {}
    made = source(type_, **changes)
    return write_markdown(document_of(made))


def report(verification: Verification) -> str:
    return markdown(DocumentType.VERIFICATION_REPORT, verification)


@pytest.mark.parametrize("type_", WRITTEN)
def test_markdown_and_word_hold_the_same_tables_and_headings(type_: DocumentType) -> None:
    text, data = rendered(source(type_))
    tokens = parsed(text)
    in_markdown = [
        shown(tokens[place + 1]).replace("<br>", "\n")
        for place, token in enumerate(tokens)
        if token.type in {"td_open", "th_open"}
    ]
    word = docx.Document(BytesIO(data))
    in_word = [cell.text for table in word.tables for row in table.rows for cell in row.cells]
    assert in_markdown == in_word
    headings = [p.text for p in word.paragraphs if str(p.style and p.style.name)[:7] == "Heading"]
    numbered = [
        shown(tokens[place + 1]).split("</a>", 1)[1].split(" ", 1)[1]
        for place, token in enumerate(tokens)
        if token.type == "heading_open" and token.tag != "h1"
    ]
    assert headings == numbered


def test_the_cover_names_project_version_date_and_notice() -> None:
    text, data = rendered(source(DocumentType.SRS, notice="Composed offline by rules."))
    front = text.split("**Contents**")[0]
    word = docx.Document(BytesIO(data))
    cover: list[str] = []
    for paragraph in word.element.body.iterchildren(qn("w:p"), qn("w:sdt")):
        if paragraph.tag == qn("w:sdt"):
            break
        cover.append("".join(t.text or "" for t in paragraph.iter(qn("w:t"))))
    for said in ("College Library", "3", "9 November 2026", "Composed offline by rules."):
        assert said in front
        assert any(said in paragraph for paragraph in cover)


def test_findings_are_counted_on_the_cover_and_listed_with_errors_first() -> None:
    findings = (
        Finding(code="vague", severity=Severity.WARNING, subject="FR-1", message="Say when."),
        Finding(code="bare", severity=Severity.ERROR, subject="UC-2", message="Add a step."),
    )
    text = markdown(DocumentType.SRS, findings=findings)
    assert "2 findings open, 1 of them an error" in text.split("**Contents**")[0]
    section = text.split("Known findings\n", 1)[1]
    assert section.index("Add a step.") < section.index("Say when.")
    assert "[FR-1](#fr-1)" in section
    assert "Known findings" not in markdown(DocumentType.SRS)


def test_requirements_lead_to_use_cases_and_back() -> None:
    text = markdown(DocumentType.SRS)
    assert '<a id="fr-1"></a>' in text
    assert "| [FR-1](#fr-1) | Borrow 1 | Must | [UC-1](#uc-1) | 1 acceptance test |" in text
    assert "**Given** a book on the shelf, **when** a member borrows it, **then** the" in text
    assert "2 of 2 must-have requirements appear in at least one use case." in text


def test_a_must_have_outside_every_use_case_is_named() -> None:
    made = samples.requirements()
    text = markdown(DocumentType.SRS, replace(made, use_cases=made.use_cases[:1]))
    assert "1 of 2 must-have requirements appear in at least one use case." in text
    assert "Not in any: [FR-2](#fr-2)." in text


def test_a_feature_says_in_which_release_it_ships() -> None:
    text = markdown(DocumentType.PRD)
    assert "| [F-1](#f-1) | Lending | Must | First |" in text
    assert "- [F-1 Lending](#f-1)" in text


def test_nothing_stated_is_said_and_not_left_blank() -> None:
    made = replace(samples.brief(), goals=(), relations=(), open_questions=())
    assert markdown(DocumentType.IDEA_BRIEF, made).count("None stated.") == 3


# --- the verification report is never kinder than the runs


def test_a_failed_verification_says_so_first() -> None:
    text = report(samples.verification())
    first = next(row for row in text.splitlines() if row.startswith("> "))
    assert first == (
        "> **FAILED.** The code failed its verification. The test stage failed: exited with exit "
        "code 1. 1 of 3 tests failed."
    )


def test_test_counts_are_counted_from_the_runs() -> None:
    text = report(samples.verification())
    assert "3 tests: 1 passed, 1 failed, 1 skipped." in text
    assert "AssertionError: 0 != 1" in text
    assert "| Test | `python3 -m unittest` | Exited | 1 | 1.234 s | FAILED |" in text


def test_a_verified_codebase_is_called_verified() -> None:
    text = report(samples.verification(VerificationStatus.VERIFIED))
    assert "> **VERIFIED.** The code was built, started and tested, and everything passed." in text
    assert "FAILED" not in text


@pytest.mark.parametrize("recorded", VerificationStatus)
def test_a_kinder_status_than_the_runs_bear_out_is_not_repeated(
    recorded: VerificationStatus,
) -> None:
    text = report(replace(samples.verification(), status=recorded))
    assert "> **FAILED.**" in text
    assert ("do not bear that out" in text) == (recorded is not VerificationStatus.FAILED)


def test_without_runs_nothing_is_verified() -> None:
    bare = replace(
        samples.verification(VerificationStatus.VERIFIED), checks=(), attempts=(), repairs=()
    )
    text = report(replace(bare, matrix=()))
    assert "> **NOT VERIFIED.** The code was not verified. Nothing was run." in text
    for said in ("No stage was run.", "The test stage was not run.", "No repair was made."):
        assert said in text


def test_a_missing_stage_or_a_missing_test_is_not_a_pass() -> None:
    verified = samples.verification(VerificationStatus.VERIFIED)
    no_start = replace(verified, checks=(verified.checks[0], verified.checks[2]))
    assert "> **NOT VERIFIED.** The code was not verified. Not run: start." in report(no_start)
    no_tests = replace(verified, checks=(*verified.checks[:2], samples.run_of_tests(passed=True)))
    assert "No test was executed." in report(no_tests)


def test_the_matrix_shows_each_status_and_leads_to_the_failure() -> None:
    text = report(samples.verification())
    assert "2 requirements: 1 failed, 1 passed." in text
    assert "[tests.test_app.LibraryTest.test_add](#tests-test-app-librarytest-test-add)" in text
    assert "| passed |" in text
    assert "| **FAILED** |" in text


def test_long_output_is_cut_and_the_cut_is_stated() -> None:
    made = samples.verification()
    long = replace(made.checks[2], output="\n".join(f"row {n}" for n in range(500)))
    text = report(replace(made, checks=(*made.checks[:2], long)))
    assert "The last 80 of 500 recorded lines:" in text
    assert "row 499" in text
    assert "row 419\n" not in text


# --- purity and names

DIGESTS = """
import hashlib
from tests.unit.documents.test_documents import digest
print(digest())
"""


def digest() -> str:
    """A fingerprint of every document there is."""
    hashed = hashlib.sha256()
    for type_ in ARTIFACTS:
        for document in render_document(source(type_, notice="n")):
            hashed.update(document.data)
    return hashed.hexdigest()


def test_another_process_on_another_day_gives_the_same_bytes() -> None:
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root), str(root / "src")])
    other = subprocess.run(
        [sys.executable, "-c", DIGESTS],
        env={"PYTHONPATH": path, "PYTHONHASHSEED": "12345", "TZ": "Pacific/Kiritimati"},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == digest()


def test_the_date_is_written_in_the_same_words_everywhere() -> None:
    assert "1 March 2027" in markdown(DocumentType.PRD, made_on=date(2027, 3, 1))


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("College Library", "college-library-srs.docx"),
        ("  Café & Co. / 2026 ", "cafe-co-2026-srs.docx"),
        ("पुस्तकालय", "project-srs.docx"),
        ("", "project-srs.docx"),
        ("../../etc/passwd", "etc-passwd-srs.docx"),
        ("x" * 300, f"{'x' * 60}-srs.docx"),
    ],
)
def test_a_file_name_is_safe_and_never_empty(title: str, name: str) -> None:
    assert filename(title, DocumentType.SRS, DocumentFormat.DOCX) == name
