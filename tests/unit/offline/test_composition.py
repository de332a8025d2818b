"""What is composed of an idea, for every idea alike."""

import re
import time
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.offline.brief import compose_brief
from adapters.offline.english.inflection import in_sentence
from domain.agents.artifacts import Idea, Mode, Priority
from domain.agents.findings import Finding, Severity
from domain.agents.paths import check_paths
from domain.agents.review import (
    review_batch,
    review_brief,
    review_codebase,
    review_plan,
    review_product,
    review_requirements,
)
from domain.agents.review.wording import vague_terms
from domain.agents.traceability import trace
from tests.unit.offline.ideas import IDEAS, LONG_IDEA
from tests.unit.offline.making import Drawn, Made, draw_up, idea_of, make

every_idea = pytest.mark.parametrize("drawn", [*IDEAS, "long"], indirect=True)
# Code costs a hundred times what a brief does, so it is made for a few ideas of each sort.
some_ideas = pytest.mark.parametrize(
    "made", ["library", "hostile", "reserved", "hindi hospital"], indirect=True
)


@pytest.fixture
def drawn(request: pytest.FixtureRequest) -> Drawn:
    return documents_of(request.param)


@pytest.fixture
def made(request: pytest.FixtureRequest) -> Made:
    return code_of(request.param)


@cache
def documents_of(name: str) -> Drawn:
    return draw_up(LONG_IDEA if name == "long" else IDEAS[name])


@cache
def code_of(name: str) -> Made:
    return make(IDEAS[name])


@every_idea
def test_no_review_of_a_document_has_anything_to_say(drawn: Drawn) -> None:
    assert not errors(
        *review_brief(drawn.brief),
        *review_requirements(drawn.requirements, drawn.brief),
        *review_product(drawn.product),
    )


@some_ideas
def test_no_review_of_the_code_has_anything_to_say(made: Made) -> None:
    assert not errors(
        *review_plan(made.plan, made.requirements),
        *review_batch(made.batch, made.plan),
        *review_codebase(made.codebase, made.requirements),
        *check_paths((f.path, len(f.content.encode())) for f in made.batch.files),
    )


@every_idea
def test_there_are_two_to_eight_entities_with_fields(drawn: Drawn) -> None:
    assert 2 <= len(drawn.brief.entities) <= 8
    assert all(entity.fields for entity in drawn.brief.entities)
    assert drawn.brief.actors


@every_idea
def test_ids_count_from_one_without_gaps(drawn: Drawn) -> None:
    for prefix, ids in (
        ("FR", [r.id for r in drawn.requirements.functional]),
        ("NFR", [r.id for r in drawn.requirements.quality]),
        ("UC", [c.id for c in drawn.requirements.use_cases]),
        ("F", [f.id for f in drawn.product.features]),
    ):
        assert ids == [f"{prefix}-{number}" for number in range(1, len(ids) + 1)]


@every_idea
def test_each_statement_has_one_shall_and_no_vague_word_of_ours(drawn: Drawn) -> None:
    names = [name for e in drawn.brief.entities for name in (e.name, e.plural)]
    own = {word for name in names for word in in_sentence(name).split()}
    for requirement in (*drawn.requirements.functional, *drawn.requirements.quality):
        assert len(re.findall(r"\bshall\b", requirement.statement)) == 1
        assert not vague_terms(requirement.statement, own)


@every_idea
def test_acceptance_is_a_number_or_a_value_and_comes_twice(drawn: Drawn) -> None:
    for requirement in drawn.requirements.functional:
        assert len(requirement.acceptance) >= 2
        assert any(re.search(r"\d|'", check.then) for check in requirement.acceptance)
    assert all(re.search(r"\d", quality.measure) for quality in drawn.requirements.quality)


@every_idea
def test_every_requirement_is_in_a_use_case(drawn: Drawn) -> None:
    used = {id for case in drawn.requirements.use_cases for id in case.requirement_ids}
    assert used == {requirement.id for requirement in drawn.requirements.functional}


@some_ideas
def test_every_requirement_leads_to_a_file_a_symbol_and_a_test(made: Made) -> None:
    for row in trace(made.requirements, made.codebase, ()):
        assert row.files, row
        assert row.symbols, row
        assert row.tests, row


@every_idea
def test_releases_hold_every_feature_once(drawn: Drawn) -> None:
    released = [id for release in drawn.product.releases for id in release.feature_ids]
    assert sorted(released) == sorted(feature.id for feature in drawn.product.features)
    assert {persona.name for persona in drawn.product.personas} == {
        actor.name for actor in drawn.brief.actors
    }


@some_ideas
def test_every_planned_file_is_written_and_compiles(made: Made) -> None:
    assert [f.path for f in made.batch.files] == [f.path for f in made.plan.files]
    for file in made.batch.files:
        if file.path.endswith(".py"):
            compile(file.content, file.path, "exec", dont_inherit=True)
            assert max(map(len, file.content.splitlines()), default=0) <= 110, file.path


@every_idea
def test_priorities_differ(drawn: Drawn) -> None:
    priorities = {requirement.priority for requirement in drawn.requirements.functional}
    assert priorities == set(Priority)


def test_two_ideas_give_two_systems() -> None:
    library, clinic = documents_of("library"), documents_of("clinic")
    assert not {e.name for e in library.brief.entities} & {e.name for e in clinic.brief.entities}
    assert library.product.features != clinic.product.features
    paths = [{f.path for f in code_of(name).plan.files} for name in ("library", "hindi hospital")]
    assert "app/entities/loan.py" in paths[0] - paths[1]
    assert "app/entities/appointment.py" in paths[1] - paths[0]


@some_ideas
def test_the_same_idea_gives_the_same_bytes(made: Made) -> None:
    assert make(made.idea.idea) == made


@given(title=st.text(max_size=60), text=st.text(max_size=400))
def test_any_text_makes_a_brief_that_passes_its_review(title: str, text: str) -> None:
    brief = compose_brief(Idea(title=title, idea=text, mode=Mode.DEVELOPER))
    assert 2 <= len(brief.entities) <= 8
    assert not errors(*review_brief(brief))


_VOCABULARY = (
    "members borrow books each patient has a name , and price ; can of with status class from"
    ' orders . order import """ {x} <b> \\ 3d मरीज किताबें 🐝 the shop\'s \'; admins approve or'
    " reject requests which are paid by customers : stock quantity ( email date )"
)
_WORDS = st.sampled_from(_VOCABULARY.split(" "))


@given(st.lists(_WORDS, max_size=40).map(" ".join))
@settings(max_examples=settings().max_examples // 5)
def test_any_sentence_makes_code_that_compiles(text: str) -> None:
    made = make(text)
    for file in made.batch.files:
        if file.path.endswith(".py"):
            compile(file.content, file.path, "exec", dont_inherit=True)
    assert not errors(*review_plan(made.plan, made.requirements))


@pytest.mark.parametrize(
    "text",
    ["approve or " * 5_000, "a" * 100_000, "<" * 50_000, "@." * 50_000, "x has y and " * 4_000],
    ids=["verbs", "one word", "brackets", "addresses", "facts"],
)
def test_a_hostile_length_is_read_in_bounded_time(text: str) -> None:
    started = time.process_time()
    assert len(compose_brief(idea_of(text)).entities) >= 2
    assert time.process_time() - started < 2


def test_the_words_of_the_idea_are_in_the_brief() -> None:
    brief = documents_of("beekeeping").brief
    assert "queen age" in brief.summary
    assert any("Beekeepers" in goal for goal in brief.goals)


def test_what_the_idea_asks_beyond_the_rules_is_left_out_openly() -> None:
    brief = documents_of("coaching").brief
    assert any("SMS" in text for text in brief.out_of_scope)
    assert any("fast" in question for question in brief.open_questions)


def errors(*findings: Finding) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.ERROR]
