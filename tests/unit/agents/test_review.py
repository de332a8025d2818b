"""What the checks send back, and what they let through."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.agents.artifacts import (
    Acceptance,
    EntityField,
    FieldType,
    FileBatch,
    IdeaBrief,
    Priority,
    Requirements,
    SuccessMetric,
    WrittenFile,
)
from domain.agents.findings import Finding, Severity, sends_back
from domain.agents.review import (
    review,
    review_batch,
    review_brief,
    review_plan,
    review_product,
    review_requirements,
)
from domain.agents.review.wording import VAGUE_TERMS, has_number, shall_count, vague_terms
from tests.unit.agents import samples


def codes(findings: Iterable[Finding]) -> set[str]:
    return {finding.code for finding in findings}


def review_one(**changes: object) -> set[str]:
    made = samples.requirements()
    changed = replace(made, functional=(samples.requirement(1, **changes), *made.functional[1:]))
    return codes(review_requirements(changed, samples.brief()))


def test_the_sample_passes_every_check() -> None:
    inputs: dict[type, object] = {
        IdeaBrief: samples.brief(),
        Requirements: samples.requirements(),
        type(samples.plan()): samples.plan(),
    }
    for artifact in (
        samples.brief(),
        samples.requirements(),
        samples.product(),
        samples.plan(),
        samples.codebase(),
        samples.verification(),
    ):
        assert review(artifact, inputs) == ()


def test_review_asks_for_the_input_it_lacks() -> None:
    with pytest.raises(KeyError):
        review(samples.requirements(), {})


def test_review_refuses_an_input_of_another_type() -> None:
    with pytest.raises(TypeError):
        review(samples.requirements(), {IdeaBrief: samples.product()})


def test_only_errors_send_back() -> None:
    warned = Finding(code="x", severity=Severity.WARNING, subject="x", message="x")
    assert not sends_back([warned])
    assert sends_back([warned, replace(warned, severity=Severity.ERROR)])


# --- brief


def test_a_brief_with_nobody_and_nothing_is_sent_back() -> None:
    empty = replace(samples.brief(), actors=(), entities=(), relations=(), actions=())
    assert {"missing_actors", "missing_entities", "missing_actions"} <= codes(review_brief(empty))


def test_entities_are_told_apart_by_more_than_case() -> None:
    made = samples.brief()
    twin = replace(made.entities[0], name="BOOK")
    assert "duplicate_name" in codes(review_brief(replace(made, entities=(*made.entities, twin))))


def test_relations_and_actions_point_at_what_exists() -> None:
    made = samples.brief()
    lost = replace(
        made,
        relations=(replace(made.relations[0], target="Shelf"),),
        actions=(replace(made.actions[0], actor="Guest", entity="Shelf"),),
    )
    assert {"unknown_entity", "unknown_actor"} <= codes(review_brief(lost))


@pytest.mark.parametrize("name", ["Due On", "dueOn", "_due", "due__on", "1st", "due_", "गिनती", ""])
def test_field_names_are_snake_case(name: str) -> None:
    assert "not_snake_case" in codes(review_brief(brief_with_field(name=name)))


def test_a_field_is_not_named_by_a_word_of_python() -> None:
    assert "reserved_name" in codes(review_brief(brief_with_field(name="class")))


@pytest.mark.parametrize(
    ("type_", "choices", "code"),
    [
        (FieldType.CHOICE, (), "missing_choices"),
        (FieldType.TEXT, ("a", "b"), "stray_choices"),
        (FieldType.CHOICE, ("a", "A"), "duplicate_name"),
    ],
)
def test_choices_belong_to_choice_fields(
    type_: FieldType, choices: tuple[str, ...], code: str
) -> None:
    assert code in codes(review_brief(brief_with_field(type=type_, choices=choices)))


def brief_with_field(
    name: str = "state", type: FieldType = FieldType.TEXT, choices: tuple[str, ...] = ()
) -> IdeaBrief:
    made = samples.brief()
    field = EntityField(name=name, type=type, required=True, description="", choices=choices)
    return replace(made, entities=(replace(made.entities[0], fields=(field,)), made.entities[1]))


# --- requirements


@pytest.mark.parametrize(
    "statement",
    ["The system records a loan.", "The system shall record a loan and shall send a receipt."],
)
def test_a_statement_has_exactly_one_shall(statement: str) -> None:
    assert "not_one_shall" in review_one(statement=statement)


@pytest.mark.parametrize(
    ("statement", "count"),
    [
        ("The system SHALL answer.", 1),
        ("The system shall print 'you shall not pass'.", 1),
        ("The shallow system shallot.", 0),
        ('The system shall show "what shall I read".', 1),
    ],
)
def test_shall_is_counted_as_a_word_outside_quotations(statement: str, count: int) -> None:
    assert shall_count(statement) == count


def test_every_banned_term_is_found_in_any_case() -> None:
    terms = [term for kind in VAGUE_TERMS for term in kind.terms]
    found = {term: vague_terms(f"The system shall, {term.upper()}, answer.") for term in terms}
    assert [term for term in terms if [name for name, _ in found[term]] != [term]] == []


@pytest.mark.parametrize(
    "text",
    [
        "The system shall send a breakfast menu.",
        "The system shall set `fast` on the loan.",
        'The system shall show "easy to use".',
        "The system shall offer the «simple» view.",
        "The system shall store is_fast_mode as sent.",
        "The system shall answer at /fast and mail to a@good.example.",
        "The member's loan and the librarian's book shall differ.",
        "The system shall support a non-simple graph.",
    ],
)
def test_what_is_only_mentioned_is_not_vague(text: str) -> None:
    assert vague_terms(text) == ()


def test_a_name_of_the_domain_is_not_vague() -> None:
    text = "The system shall list fast food orders."
    assert vague_terms(text)
    assert vague_terms(text, ["Fast Food Order"]) == ()


def test_the_longest_banned_term_is_the_one_reported() -> None:
    assert [term for term, _ in vague_terms("It is easy  to\nuse.")] == ["easy to use"]


def test_a_vague_result_is_sent_back() -> None:
    assert "vague_wording" in review_one(
        acceptance=(Acceptance(given="a book", when="it is lent", then="it works as expected"),)
    )


def test_acceptance_is_there_and_tells_a_result() -> None:
    assert "no_acceptance" in review_one(acceptance=())
    assert "no_result" in review_one(acceptance=(Acceptance(given="a", when="b", then="success"),))
    assert "empty_text" in review_one(
        acceptance=(Acceptance(given=" ", when="b", then="the loan is listed"),)
    )


def test_a_must_have_is_in_a_use_case_and_a_could_have_need_not_be() -> None:
    made = samples.requirements()
    extra = samples.requirement(3)
    for priority, expected in ((Priority.MUST, True), (Priority.COULD, False)):
        changed = replace(made, functional=(*made.functional, replace(extra, priority=priority)))
        found = codes(review_requirements(changed, samples.brief()))
        assert ("no_use_case" in found) is expected


@pytest.mark.parametrize("bad", ["FR1", "fr-1", "FR-", "REQ-1", "FR-1a", "FR-१"])
def test_ids_have_their_pattern(bad: str) -> None:
    assert "malformed_id" in review_one(id=bad)


def test_ids_are_unique_and_resolve() -> None:
    assert {"duplicate_id", "no_use_case"} <= review_one(id="FR-2") | review_one(id="FR-9")
    assert "unknown_id" in review_one(id="FR-9")


def test_two_requirements_do_not_say_the_same() -> None:
    assert "repeated_statement" in review_one(statement="the system shall  store a book")


def test_use_cases_belong_to_actors_of_the_brief() -> None:
    made = samples.requirements()
    cases = (replace(made.use_cases[0], actor="Guest"), made.use_cases[1])
    changed = replace(made, use_cases=cases)
    assert "unknown_actor" in codes(review_requirements(changed, samples.brief()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("within 300 ms", True),
        ("under ₹500", True),
        ("≥ 99.5 %", True),
        ("as stated in FR-1 and NFR-20", False),
        ("low", False),
        ("utf-8 text", False),
    ],
)
def test_a_measure_needs_a_figure_of_its_own(text: str, *, expected: bool) -> None:
    assert has_number(text) is expected


def test_a_quality_without_a_number_is_sent_back() -> None:
    made = samples.requirements()
    changed = replace(made, quality=(replace(made.quality[0], measure="low latency"),))
    assert "no_measure" in codes(review_requirements(changed, samples.brief()))


@given(st.text(max_size=80), st.text(max_size=80))
def test_checks_of_wording_take_any_text(statement: str, measure: str) -> None:
    made = samples.requirements()
    changed = replace(
        made,
        functional=(samples.requirement(1, statement=statement),),
        quality=(replace(made.quality[0], measure=measure),),
    )
    assert all(finding.message for finding in review_requirements(changed, samples.brief()))


# --- product


def test_features_are_shipped_and_releases_hold_features() -> None:
    made = samples.product()
    nowhere = replace(made, releases=(replace(made.releases[0], feature_ids=("F-7",)),))
    assert {"not_released", "unknown_id"} <= codes(review_product(nowhere))


def test_success_is_a_number() -> None:
    vague = SuccessMetric(name="Joy", target="high", measured_by="Asking.")
    found = review_product(replace(samples.product(), metrics=(vague,)))
    assert "no_measure" in codes(found)


# --- plan


def test_a_plan_with_one_bad_path_is_sent_back() -> None:
    made = samples.plan()
    bad = samples.planned("../evil.py", (), ())
    found = review_plan(replace(made, files=(*made.files, bad)), samples.requirements())
    assert "unsafe_path" in codes(found)


def test_a_must_have_is_planned_in_source_and_in_a_test() -> None:
    made = samples.plan()
    only_source = replace(made, files=made.files[:2])
    only_tests = replace(made, files=made.files[2:], start=("python3", "tests/test_app.py"))
    found = codes(review_plan(only_source, samples.requirements()))
    assert {"no_tests", "not_tested"} <= found
    assert codes(review_plan(only_tests, samples.requirements())) == {"not_coded"}


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (("sh", "-c", "app.py"), "not_python"),
        ((), "not_python"),
        (("python3",), "unknown_entry"),
        (("python3", "main.py"), "unknown_entry"),
        (("python3", "-m", "library"), "unknown_entry"),
        (("python3", "-u", "-m", "library.main"), "unknown_entry"),
    ],
)
def test_commands_run_python_on_what_is_there(start: tuple[str, ...], code: str) -> None:
    found = review_plan(replace(samples.plan(), start=start), samples.requirements())
    assert codes(found) == {code}


@pytest.mark.parametrize("start", [("python3", "-u", "app.py"), ("python3", "-m", "app")])
def test_commands_may_name_a_script_or_a_module(start: tuple[str, ...]) -> None:
    assert review_plan(replace(samples.plan(), start=start), samples.requirements()) == ()


@pytest.mark.parametrize("probe", ["health", "", "http://x/", "/a b", "/a\nb"])
def test_the_probe_is_a_path(probe: str) -> None:
    found = review_plan(replace(samples.plan(), probe_path=probe), samples.requirements())
    assert codes(found) == {"bad_probe"}


def test_planned_symbols_are_names() -> None:
    made = samples.plan()
    odd = replace(made.files[0], symbols=("encode()",))
    found = review_plan(replace(made, files=(odd, *made.files[1:])), samples.requirements())
    assert codes(found) == {"malformed_symbol"}


# --- one reply's files


def test_a_batch_is_judged_before_the_other_files_are_there() -> None:
    batch = FileBatch(
        files=(
            WrittenFile(path="app.py", content="def run(:\n"),
            WrittenFile(path="extra.py", content="VALUE = 1\n"),
            WrittenFile(path="store.py", content="def add():\n    # TODO\n    return 1\n"),
        )
    )
    found = review_batch(batch, samples.plan())
    assert {(f.code, f.subject) for f in found} == {
        ("does_not_parse", "app.py"),
        ("unplanned_file", "extra.py"),
        ("placeholder", "store.py"),
    }
