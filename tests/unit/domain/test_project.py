"""Projects: their titles and ideas, cleaned, bounded and edited."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.agents.artifacts import Idea, Mode
from domain.projects.project import (
    MAX_IDEA_LENGTH,
    MAX_TITLE_LENGTH,
    MIN_IDEA_LENGTH,
    Project,
    ProjectStatus,
    clean_idea,
    clean_title,
    title_from,
)
from domain.shared.errors import InvalidValue
from domain.shared.ids import ProjectId, UserId

NOW = datetime(2026, 11, 2, tzinfo=UTC)
PROJECT = Project(
    id=ProjectId(UUID(int=1)),
    user_id=UserId(UUID(int=2)),
    title="College library",
    idea="Members borrow books.",
    mode=Mode.DEVELOPER,
    status=ProjectStatus.COMPLETED,
    progress=100,
    created_at=NOW,
    updated_at=NOW,
)


def is_clean_idea(text: str) -> bool:
    """Whether the idea is accepted at all."""
    try:
        clean_idea(text)
    except InvalidValue:
        return False
    return True


IDEAS = st.text(min_size=MIN_IDEA_LENGTH, max_size=300).filter(is_clean_idea).map(clean_idea)


class TestTitles:
    @given(st.text())
    def test_a_clean_title_is_one_printable_line_of_fitting_length(self, title: str) -> None:
        try:
            cleaned = clean_title(title)
        except InvalidValue:
            return
        assert cleaned.isprintable()
        assert 1 <= len(cleaned) <= MAX_TITLE_LENGTH
        assert clean_title(cleaned) == cleaned

    @pytest.mark.parametrize("title", ["", " \n ", "\x00"])
    def test_a_title_of_nothing_is_refused(self, title: str) -> None:
        with pytest.raises(InvalidValue) as refused:
            clean_title(title)
        assert refused.value.field == "title"

    def test_a_title_too_long_is_refused_with_the_bound(self) -> None:
        with pytest.raises(InvalidValue, match=str(MAX_TITLE_LENGTH)):
            clean_title("x" * (MAX_TITLE_LENGTH + 1))


class TestIdeas:
    @given(st.text(max_size=300))
    def test_a_clean_idea_stays_as_it_is(self, idea: str) -> None:
        if is_clean_idea(idea):
            assert clean_idea(clean_idea(idea)) == clean_idea(idea)

    @given(st.text(max_size=300))
    def test_a_clean_idea_has_no_control_characters_but_breaks_and_tabs(self, idea: str) -> None:
        if is_clean_idea(idea):
            assert all(ch.isprintable() or ch in "\n\t" for ch in clean_idea(idea))

    def test_line_breaks_are_kept_in_one_form(self) -> None:
        assert clean_idea("Borrow books.\r\n\r\n\tReturn them.\n") == (
            "Borrow books.\n\n\tReturn them."
        )

    @pytest.mark.parametrize("idea", ["", "too short", " " * 40, "\x00" * 40, "  ninechars  "])
    def test_an_idea_too_short_is_refused_with_the_bound(self, idea: str) -> None:
        with pytest.raises(InvalidValue, match=str(MIN_IDEA_LENGTH)) as refused:
            clean_idea(idea)
        assert refused.value.field == "idea"

    def test_an_idea_too_long_is_refused_with_the_bound(self) -> None:
        with pytest.raises(InvalidValue, match=str(MAX_IDEA_LENGTH)):
            clean_idea("x" * (MAX_IDEA_LENGTH + 1))


class TestTitlesMadeFromIdeas:
    @given(IDEAS)
    def test_every_idea_gives_a_title_that_is_accepted(self, idea: str) -> None:
        assert clean_title(title_from(idea))

    @given(IDEAS, st.integers(10, 80))
    def test_the_title_is_no_longer_than_asked(self, idea: str, limit: int) -> None:
        assert len(title_from(idea, limit)) <= limit

    @given(IDEAS)
    def test_the_title_is_how_the_idea_begins(self, idea: str) -> None:
        assert idea.startswith(title_from(idea))

    @pytest.mark.parametrize(
        ("idea", "title"),
        [
            (
                "A library system for a college: members borrow books.",
                "A library system for a college",
            ),
            ("A canteen app. Students order ahead.", "A canteen app"),
            ("Clinic queue - patients see their turn", "Clinic queue"),
            ("Hostel rooms\nStudents choose rooms.", "Hostel rooms"),
        ],
    )
    def test_the_title_is_the_first_clause(self, idea: str, title: str) -> None:
        assert title_from(idea) == title

    def test_a_long_first_clause_is_cut_at_a_word(self) -> None:
        assert (
            title_from("A system that keeps every book of every college", 20)
            == "A system that keeps"
        )


class TestEditing:
    def test_what_is_not_given_stays(self) -> None:
        later = NOW + timedelta(hours=1)
        edited = PROJECT.edited(title=None, idea=None, at=later)
        assert (edited.title, edited.idea) == (PROJECT.title, PROJECT.idea)

    def test_what_is_given_is_cleaned(self) -> None:
        edited = PROJECT.edited(
            title="  Tool \n library ", idea="\x00Members borrow tools.\n", at=NOW
        )
        assert (edited.title, edited.idea) == ("Tool library", "Members borrow tools.")

    def test_the_moment_is_kept_and_the_beginning_stays(self) -> None:
        later = NOW + timedelta(hours=1)
        edited = PROJECT.edited(title="Tool library", idea=None, at=later)
        assert (edited.created_at, edited.updated_at) == (NOW, later)

    def test_an_edit_leaves_status_and_progress(self) -> None:
        edited = PROJECT.edited(title="Tool library", idea=None, at=NOW)
        assert (edited.status, edited.progress) == (PROJECT.status, PROJECT.progress)

    @pytest.mark.parametrize("change", [{"title": " "}, {"idea": "short"}])
    def test_what_does_not_fit_is_refused(self, change: dict[str, str]) -> None:
        with pytest.raises(InvalidValue):
            PROJECT.edited(title=change.get("title"), idea=change.get("idea"), at=NOW)

    def test_the_first_agent_reads_title_idea_and_mode(self) -> None:
        assert PROJECT.as_input == Idea(
            title="College library", idea="Members borrow books.", mode=Mode.DEVELOPER
        )
