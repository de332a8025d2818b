"""What is understood of an idea."""

import pytest

from adapters.offline.brief import compose_brief
from domain.agents.artifacts import Entity, EntityField, FieldType, IdeaBrief
from tests.unit.offline.ideas import IDEAS
from tests.unit.offline.making import idea_of


def brief_of(text: str) -> IdeaBrief:
    return compose_brief(idea_of(text))


def entity_of(brief: IdeaBrief, name: str) -> Entity:
    return next(entity for entity in brief.entities if entity.name == name)


def field_of(brief: IdeaBrief, entity: str, name: str) -> EntityField:
    return next(field for field in entity_of(brief, entity).fields if field.name == name)


def links_of(brief: IdeaBrief) -> set[tuple[str, str]]:
    return {(relation.source, relation.target) for relation in brief.relations}


def test_borrowing_makes_a_loan_of_a_book_to_a_member() -> None:
    brief = brief_of(IDEAS["library"])
    assert {("Loan", "Book"), ("Loan", "Member")} <= links_of(brief)
    assert field_of(brief, "Loan", "due_on").type is FieldType.DATE
    assert field_of(brief, "Loan", "status").choices[0] == "issued"
    assert {actor.name for actor in brief.actors} == {"Member", "Librarian"}


@pytest.mark.parametrize(
    ("text", "link", "other"),
    [
        ("Guests book rooms", "Booking", "Room"),
        ("Students enrol in courses", "Enrolment", "Course"),
        ("Customers order cakes", "Order", "Cake"),
        ("Customers rent bikes", "Rental", "Bike"),
        ("Candidates apply for jobs", "Application", "Job"),
        ("Members vote on proposals", "Vote", "Proposal"),
        ("Volunteers sign up for campaigns", "Registration", "Campaign"),
        ("Residents can reserve halls", "Reservation", "Hall"),
    ],
)
def test_verbs_that_join_make_a_record_of_their_own(text: str, link: str, other: str) -> None:
    assert (link, other) in links_of(brief_of(text))


def test_told_fields_are_kept_with_fitting_types() -> None:
    brief = brief_of(IDEAS["space"])
    types = {field.name: field.type for field in entity_of(brief, "Experiment").fields}
    assert types["start_date"] is FieldType.DATE
    assert types["risk_level"] is FieldType.TEXT
    assert types["status"] is FieldType.CHOICE
    assert field_of(brief, "Experiment", "status").choices == ("pending", "approved")


def test_facts_of_a_known_entity_replace_the_usual_ones() -> None:
    patient = entity_of(brief_of(IDEAS["clinic"]), "Patient")
    assert [field.name for field in patient.fields] == ["name", "phone", "blood_group"]


def test_quantity_in_stock_is_one_fact() -> None:
    stock = field_of(brief_of(IDEAS["warehouse"]), "Product", "quantity_in_stock")
    assert stock.type is FieldType.INTEGER


def test_a_status_follows_the_verbs() -> None:
    brief = brief_of("Customers raise tickets. Agents verify, escalate or reject tickets.")
    choices = field_of(brief, "Ticket", "status").choices
    assert {"verified", "escalated", "rejected"} <= set(choices)
    assert choices[0] == "open"


def test_belonging_and_having_many_are_relations() -> None:
    brief = brief_of("Tickets belong to a department. Each author has many poems.")
    assert ("Ticket", "Department") in links_of(brief)
    assert ("Poem", "Author") in links_of(brief)


def test_a_short_idea_is_filled_from_its_trade() -> None:
    brief = brief_of(IDEAS["gym"])
    assert {"Member", "Membership Plan", "Subscription"} <= {e.name for e in brief.entities}
    assert any("a gym" in assumption for assumption in brief.assumptions)


def test_the_idea_keeps_its_own_word_for_a_thing() -> None:
    names = {entity.name for entity in brief_of(IDEAS["beekeeping"]).entities}
    assert "Buyer" in names
    assert "Customer" not in names


def test_hindi_words_are_known() -> None:
    brief = brief_of(IDEAS["hindi hospital"])
    assert field_of(brief, "मरीज", "blood_group").type is FieldType.CHOICE
    assert {("Appointment", "मरीज"), ("Appointment", "डॉक्टर")} <= links_of(brief)


def test_nothing_recognised_still_names_two_things() -> None:
    assert [entity.name for entity in brief_of("!!!").entities] == ["Record", "Category"]


def test_no_record_needs_itself() -> None:
    brief = brief_of("Each team has many players. Each player has many teams.")
    required = {(r.source, r.target) for r in brief.relations if r.required}
    assert not {(b, a) for a, b in required} & required


def test_a_title_is_made_of_the_first_clause() -> None:
    assert brief_of(IDEAS["library"]).title == "Library system for a college"
    assert compose_brief(idea_of("x", title="  My  Café ")).title == "My Café"
