"""Names and literals: how words of an idea become safe Python."""

import ast
import keyword
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.offline.codebase.python_source import Call, call, docstring, literal
from adapters.offline.identifiers import class_name, column_name, module_name, path_name
from domain.agents.artifacts import Cardinality, Entity, EntityField, FieldType, Relation
from tests.unit.offline.making import Made, make, make_from

_plain = st.one_of(st.text(), st.integers(), st.booleans(), st.none())
_values = st.recursive(
    _plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=8), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(_values)
def test_a_literal_evaluates_to_its_value(value: object) -> None:
    assert ast.literal_eval(literal(value)) == value


@given(_values, st.integers(min_value=0, max_value=40))
def test_a_call_keeps_its_arguments(value: object, indent: int) -> None:
    written = call(Call("f", (("a", value), ("b", 1))), indent)
    parsed = ast.parse(written, mode="eval").body
    assert isinstance(parsed, ast.Call)
    assert ast.literal_eval(parsed.keywords[0].value) == value


@given(st.text(max_size=300))
def test_a_docstring_is_one_string_whatever_it_says(text: str) -> None:
    tree = ast.parse(docstring(text))
    assert len(tree.body) == 1
    assert isinstance(tree.body[0], ast.Expr)


@given(st.text(max_size=60))
def test_names_are_ascii_identifiers_that_nothing_reserves(text: str) -> None:
    for name in (class_name(text), module_name(text), column_name(text)):
        assert name.isidentifier()
        assert name.isascii()
        assert not keyword.iskeyword(name)
    assert path_name(text).replace("-", "").isalnum()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Class", "class_record"),
        ("Con", "con_record"),
        ("Lab Test", "lab_test"),
        ("3D", "entity_3d"),
    ],
)
def test_awkward_modules(text: str, name: str) -> None:
    assert module_name(text) == name


def test_names_differ_from_those_taken() -> None:
    assert class_name("Date") == "DateRecord"
    assert class_name("Import", ["import"]) == "Import2"
    assert column_name("limit") == "limit_value"
    assert column_name("order", ["order"]) == "order_2"
    assert path_name("API") == "api-records"


def test_other_scripts_are_transliterated() -> None:
    assert module_name("किताब") == "kitaab"
    assert module_name("Größe") == "grose"
    assert module_name("图书").startswith("u")


@pytest.fixture(scope="module")
def awkward() -> Made:
    """What no rule would compose but a person may edit: odd names, cycles, many to many."""
    made = make("Members borrow books.")

    def field(name: str, type_: FieldType = FieldType.TEXT, *choices: str) -> EntityField:
        return EntityField(name=name, type=type_, required=True, description="", choices=choices)

    def entity(name: str, *fields: EntityField) -> Entity:
        return Entity(name=name, plural=name, description='Has """ and \\.', fields=fields)

    def relation(source: str, target: str, many: bool = False) -> Relation:
        kind = Cardinality.MANY_TO_MANY if many else Cardinality.MANY_TO_ONE
        return Relation(source=source, target=target, name="to", cardinality=kind, required=True)

    brief = replace(
        made.brief,
        entities=(
            entity("Class", field("from"), field("id"), field("limit", FieldType.INTEGER)),
            entity("class"),
            entity("Date", field("status", FieldType.CHOICE, "new", "new", "", 'a "b"')),
            entity("Con", field("मूल्य", FieldType.DECIMAL), field("self", FieldType.BOOLEAN)),
        ),
        relations=(
            relation("Class", "Date"),
            relation("Date", "Class"),
            relation("Con", "Con"),
            relation("class", "Con", many=True),
            relation("Con", "Nothing"),
        ),
        actions=(),
    )
    return make_from(made.idea, brief)


def test_edited_briefs_make_code_that_compiles(awkward: Made) -> None:
    for file in awkward.batch.files:
        if file.path.endswith(".py"):
            compile(file.content, file.path, "exec", dont_inherit=True)


def test_a_record_that_would_need_itself_does_not(awkward: Made) -> None:
    for name in ("class_record", "date", "con_record"):
        content = awkward.content(f"app/entities/{name}.py")
        assert 'Reference(name="to_id"' in content or "Reference(\n" in content
        assert 'to="' in content
        assert "required=True" not in content.split("Reference(", 1)[1].split(")", 1)[0]
