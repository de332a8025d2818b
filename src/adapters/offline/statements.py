"""What each behaviour is in words: a statement with one "shall", a reason, and checks."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from adapters.offline.behaviours import Behaviour, Kind
from adapters.offline.english.inflection import in_sentence, joined, with_article
from adapters.offline.lexicon.field_types import label_of
from adapters.offline.workflow import stamps_of, workflow_of
from domain.agents.artifacts import Acceptance, Entity, EntityField, FieldType, IdeaBrief

_Said = tuple[str, str, tuple[tuple[str, str, str], ...]]
"""A statement, its rationale, and what is given, done and then seen, a check each."""


def said(behaviour: Behaviour, brief: IdeaBrief) -> tuple[str, str, tuple[Acceptance, ...]]:
    """The statement, rationale and acceptance of ``behaviour``."""
    entity = next((e for e in brief.entities if e.name == behaviour.entity), None)
    statement, rationale, checks = (
        _overview(brief) if entity is None else _SAID[behaviour.kind](behaviour, entity, brief)
    )
    accepted = tuple(Acceptance(given=g, when=w, then=t) for g, w, t in checks)
    return statement, rationale, accepted


def label(field: EntityField) -> str:
    """The field's name inside a sentence."""
    written = label_of(field.name)
    return written if written[:2].isupper() else written[:1].lower() + written[1:]


def _create(behaviour: Behaviour, entity: Entity, brief: IdeaBrief) -> _Said:
    one = in_sentence(entity.name)
    required = [label(field) for field in entity.fields if field.required]
    target = [
        r.name.replace("_", " ") for r in brief.relations if r.source == entity.name and r.required
    ]
    needed = joined([*target, *required])
    with_what = f" with at least its {needed}" if needed else ""
    missing = _column(entity, brief)
    return (
        f"The system shall store a new {one}{with_what} when every value fits its field.",
        _because(behaviour, brief),
        (
            (
                f"a valid {one}",
                "it is sent to the API",
                "the answer is 201 with the stored record, and reading it back gives the"
                " same values",
            ),
            (
                f"a {one} without its {missing}" if missing else f"a {one} with an unknown field",
                "it is sent",
                f"the answer is 422 naming the field '{missing or 'unknown'}', and 0"
                " records are stored",
            ),
            (
                f"the form for a new {one}",
                "it is sent with valid values",
                "the answer is 303 to the page of the stored record",
            ),
        ),
    )


def _list(behaviour: Behaviour, entity: Entity, brief: IdeaBrief) -> _Said:
    many = in_sentence(entity.plural)
    return (
        f"The system shall list the stored {many} in pages of 20, limited to"
        " those that contain a given text where one is given.",
        f"{_capital(with_article(entity.name))} is looked up more often than it is entered.",
        (
            (
                f"3 stored {many}",
                "2 are asked for from the API",
                "the answer is 200 with 2 records and the total 3",
            ),
            (
                f"stored {many} of which 1 contains the text 'zephyr'",
                "'ZEPHYR' is searched for",
                "the answer holds exactly that 1 record",
            ),
            (
                f"0 stored {many}",
                "the list page is opened",
                f"it says that there are no {many} yet",
            ),
        ),
    )


def _edit(behaviour: Behaviour, entity: Entity, brief: IdeaBrief) -> _Said:
    one = in_sentence(entity.name)
    return (
        "The system shall store the changed values of"
        f" {with_article(entity.name)} when every value fits its field.",
        "What was entered wrongly, or has changed since, is put right in place.",
        (
            (
                f"a stored {one}",
                "1 field is changed through the API",
                "the answer is 200, that field has the new value, and the other fields"
                " are as before",
            ),
            (
                f"a stored {one}",
                "a value that does not fit its field is sent",
                "the answer is 422 naming the field, and the record is as before",
            ),
        ),
    )


def _delete(behaviour: Behaviour, entity: Entity, brief: IdeaBrief) -> _Said:
    one = in_sentence(entity.name)
    return (
        f"The system shall remove {with_article(entity.name)} once its removal has been confirmed.",
        "What was entered by mistake does not stay among what is true.",
        (
            (
                f"a stored {one}",
                "its page is asked to delete it and the question is answered with yes",
                "the answer is 303 to the list, and the record's address answers 404",
            ),
            (
                f"a stored {one}",
                "the question page is opened and left",
                "the record's address answers 200",
            ),
        ),
    )


def _relate(behaviour: Behaviour, entity: Entity, brief: IdeaBrief) -> _Said:
    one, target = in_sentence(entity.name), in_sentence(behaviour.target)
    return (
        f"The system shall show on the page of {with_article(behaviour.target)}"
        f" the {in_sentence(entity.plural)} that refer to it, by name.",
        f"{_capital(with_article(entity.name))} means little without the {target} it belongs to.",
        (
            (
                f"a {target} with 1 {one}",
                f"the page of the {target} is opened",
                f"it has a link to that {one}, and the page of the {one} has a link back",
            ),
            (
                f"a {one} that refers to a {target} with the id 999, which is not stored",
                "it is sent",
                f"the answer is 422 naming the field '{behaviour.relation}'",
            ),
            (
                f"a {target} with 1 {one}",
                f"the {target} is to be removed",
                f"the answer is 409 and the {target} stays",
            ),
        ),
    )


def _unique(behaviour: Behaviour, entity: Entity, brief: IdeaBrief) -> _Said:
    one, field = in_sentence(entity.name), label_of(behaviour.field)
    return (
        f"The system shall refuse {with_article(entity.name)} whose {field}"
        f" another {one} already has.",
        f"{field} is what tells one {one} from another.",
        (
            (
                f"a stored {one} with a {field}",
                f"a second {one} with the same value is sent",
                f"the answer is 409 naming the field '{behaviour.field}'",
            ),
            (
                f"a stored {one} with a {field}",
                "it is sent again unchanged as a change of itself",
                "the answer is 200",
            ),
        ),
    )


def _order(behaviour: Behaviour, entity: Entity, brief: IdeaBrief) -> _Said:
    one = in_sentence(entity.name)
    first, last = label_of(behaviour.field), label_of(behaviour.until)
    return (
        f"The system shall refuse {with_article(entity.name)} whose date '{last}'"
        f" is before its date '{first}'.",
        "A period that ends before it begins is a slip of the pen.",
        (
            (
                f"a {one} with '{first}' 2026-06-10 and '{last}' 2026-06-09",
                "it is sent",
                f"the answer is 422 naming the field '{behaviour.until}'",
            ),
            (f"a {one} with both dates 2026-06-10", "it is sent", "the answer is 201"),
        ),
    )


def _workflow(behaviour: Behaviour, entity: Entity, brief: IdeaBrief) -> _Said:
    machine = workflow_of(entity)
    one = in_sentence(entity.name)
    if machine is None:
        return _edit(behaviour, entity, brief)
    moves = [f"{a} to {' or '.join(b)}" for a, b in machine.moves.items() if b]
    last = list(machine.moves)[-1]
    days = [f.name for f in entity.fields if f.type is FieldType.DATE and not f.required]
    following = machine.moves[machine.initial][0]
    return (
        f"The system shall let the {label_of(machine.field).lower()} of"
        f" {with_article(entity.name)} start as {machine.initial} and change only"
        f" from {', from '.join(moves)}.",
        f"The {label_of(machine.field).lower()} tells everybody where the {one}"
        " stands, so it must not jump.",
        (
            (f"a new {one}", "it is stored", f"its {machine.field} is '{machine.initial}'"),
            (
                f"a {one} that is '{machine.initial}'",
                f"it is set to '{following}'",
                "the answer is 200 with the new value",
            ),
            (
                f"a {one} that is '{last}'",
                f"it is set to '{machine.initial}'",
                f"the answer is 409 naming the field '{machine.field}'",
            ),
            *(
                (
                    f"a {one} without '{label_of(field)}'",
                    f"it is set to '{state}'",
                    f"its '{label_of(field)}' is the day of the change",
                )
                for state, field in stamps_of(machine, days).items()
            ),
        ),
    )


def _deadline(behaviour: Behaviour, entity: Entity, brief: IdeaBrief) -> _Said:
    one, day = in_sentence(entity.name), label_of(behaviour.field)
    still = f" while it is {' or '.join(behaviour.states)}" if behaviour.states else ""
    return (
        f"The system shall mark {with_article(entity.name)} as {behaviour.limit}"
        f" from the day after its date '{day}' on{still}.",
        "What is late is seen without anybody comparing dates.",
        (
            (
                f"a {one} whose '{day}' was yesterday",
                "its page is opened",
                f"it carries the mark '{behaviour.limit.capitalize()}'",
            ),
            (
                f"a {one} whose '{day}' is today",
                "it is read through the API",
                f"its value '{behaviour.limit}' is false",
            ),
        ),
    )


def _capacity(behaviour: Behaviour, entity: Entity, brief: IdeaBrief) -> _Said:
    one, target = in_sentence(entity.name), in_sentence(behaviour.target)
    limit = label_of(behaviour.limit).lower()
    return (
        f"The system shall refuse {with_article(entity.name)} for which the"
        f" {limit} of its {target} do not suffice.",
        f"More {in_sentence(entity.plural)} than {limit} end in a quarrel at the counter.",
        (
            (
                f"a {target} with {limit} 2 and 2 {in_sentence(entity.plural)} that count",
                f"a third {one} is sent",
                "the answer is 409, saying how much is left",
            ),
            (
                f"the same {target}",
                f"one {one} no longer counts and another is sent",
                "the answer is 201",
            ),
        ),
    )


def _stock(behaviour: Behaviour, entity: Entity, brief: IdeaBrief) -> _Said:
    one, target = in_sentence(entity.name), in_sentence(behaviour.target)
    stock, amount = label_of(behaviour.limit).lower(), label_of(behaviour.amount).lower()
    return (
        f"The system shall reduce the {stock} of {with_article(behaviour.target)}"
        f" by the {amount} of each {one} without letting it fall below 0.",
        "What was given out is not there to be given out again.",
        (
            (
                f"a {target} with {stock} 5",
                f"a {one} with {amount} 3 is stored",
                f"the {stock} is 2",
            ),
            (
                f"a {target} with {stock} 2",
                f"a {one} with {amount} 3 is sent",
                f"the answer is 409 naming the field '{behaviour.amount}', and the {stock} is 2",
            ),
            (f"a {one} with {amount} 3", "it is removed", f"the {stock} is 3 more than before"),
        ),
    )


def _exclusive(behaviour: Behaviour, entity: Entity, brief: IdeaBrief) -> _Said:
    one, target = in_sentence(entity.name), in_sentence(behaviour.target)
    when = "day and time" if behaviour.slot else "days"
    return (
        f"The system shall refuse {with_article(entity.name)} whose {target} is"
        f" taken on the same {when}.",
        f"One {target} cannot be promised to two people.",
        (
            (
                f"a {one} for a {target}",
                f"another {one} for the same {target} on the same {when} is sent",
                f"the answer is 409 naming the field '{behaviour.field}'",
            ),
            (
                f"a {one} for a {target}",
                f"another {one} for the same {target} on other days is sent",
                "the answer is 201",
            ),
        ),
    )


def _overview(brief: IdeaBrief) -> _Said:
    kept = joined([in_sentence(entity.plural) for entity in brief.entities])
    return (
        f"The system shall show on its first page how many {kept} are stored.",
        "Whoever opens the application sees at once what it keeps.",
        (
            (
                f"1 stored {in_sentence(brief.entities[0].name)}",
                "the first page is opened",
                f"it shows the number 1 for {in_sentence(brief.entities[0].plural)}",
            ),
            (
                "no stored records",
                "the first page is opened",
                f"it answers 200 and shows the number 0 {len(brief.entities)} times",
            ),
        ),
    )


def _because(behaviour: Behaviour, brief: IdeaBrief) -> str:
    told = [action.description for action in brief.actions if action.entity == behaviour.entity]
    return told[0] if told else f"The system keeps {in_sentence(behaviour.entity)} records."


def _column(entity: Entity, brief: IdeaBrief) -> str:
    return next(
        (
            field.name
            for field in entity.fields
            if field.required and field.type not in (FieldType.BOOLEAN, FieldType.CHOICE)
        ),
        "",
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_SAID: Mapping[Kind, Callable[[Behaviour, Entity, IdeaBrief], _Said]] = MappingProxyType(
    {
        Kind.CREATE: _create,
        Kind.LIST: _list,
        Kind.EDIT: _edit,
        Kind.DELETE: _delete,
        Kind.RELATE: _relate,
        Kind.UNIQUE: _unique,
        Kind.ORDER: _order,
        Kind.WORKFLOW: _workflow,
        Kind.DEADLINE: _deadline,
        Kind.CAPACITY: _capacity,
        Kind.STOCK: _stock,
        Kind.EXCLUSIVE: _exclusive,
    }
)
