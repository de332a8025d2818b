"""Writes the files: each template filled from the blueprint."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

import jinja2

from adapters.offline.behaviours import Behaviour, Kind
from adapters.offline.codebase.blueprint import Blueprint, EntityPlan, draw
from adapters.offline.codebase.expectations import expectations, ids_of, simplest
from adapters.offline.codebase.python_source import arguments, call, docstring, literal
from adapters.offline.codebase.rules import deadline_call, rule_calls, workflow_call
from adapters.offline.codebase.samples import sample
from adapters.offline.english.inflection import in_sentence, joined
from domain.agents.artifacts import FileBatch, IdeaBrief, Requirements, WrittenFile


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedFile:
    """A file with what the plan says of it."""

    path: str
    content: str
    purpose: str
    requirement_ids: tuple[str, ...]
    is_test: bool

    @property
    def symbols(self) -> tuple[str, ...]:
        """The classes, functions and constants that a Python file defines at its top."""
        if not self.path.endswith(".py"):
            return ()
        return tuple(_defined(ast.parse(self.content)))


def write_files(brief: IdeaBrief, requirements: Requirements, paths: Sequence[str]) -> FileBatch:
    """The files at ``paths``, whole.

    Raises:
        KeyError: no file of the codebase has one of the paths.
    """
    composed = {file.path: file for file in compose_files(draw(brief, requirements))}
    return FileBatch(
        files=tuple(WrittenFile(path=path, content=composed[path].content) for path in paths)
    )


def compose_files(blueprint: Blueprint) -> tuple[ComposedFile, ...]:
    """All files of the codebase."""
    return tuple(_Composition(blueprint).files())


class _Composition:
    def __init__(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint
        main, words = simplest(blueprint)
        self._context: dict[str, Any] = {
            "title": blueprint.title,
            "summary": blueprint.summary,
            "kept": joined([in_sentence(entity.plural) for entity in blueprint.entities]),
            "entities": [_entity_context(entity, blueprint) for entity in blueprint.entities],
            "uses": {
                "many_to_many": blueprint.many_to_many,
                "workflow": any(entity.machine for entity in blueprint.entities),
                "stamps": any(entity.stamps for entity in blueprint.entities),
                "deadline": blueprint.uses(Kind.DEADLINE),
                "stock": blueprint.uses(Kind.STOCK),
                "capacity": blueprint.uses(Kind.CAPACITY),
                "not_before": blueprint.uses(Kind.ORDER),
                "no_overlap": blueprint.uses(Kind.EXCLUSIVE),
            },
            "ids": {kind.value: self._ids_of(kind) for kind in Kind},
            "quality": {key: [id] for key, id in blueprint.quality.items()},
            "main": _entity_context(main, blueprint),
            "words": words.name if words else "",
        }

    def files(self) -> Iterator[ComposedFile]:
        for path, purpose in _APPLICATION.items():
            kinds = _ANSWERS.get(path, ())
            ids = [id for kind in kinds for id in self._ids_of(kind)]
            yield self._file(path, purpose, ids=ids)
        for entity, context in zip(
            self._blueprint.entities, self._context["entities"], strict=True
        ):
            yield self._file(
                f"app/entities/{entity.module}.py",
                f"Declares what is kept about {in_sentence(entity.plural)}, and their rules.",
                template="app/entities/entity.py",
                ids=[id for b in entity.behaviours if (id := self._blueprint.ids.get(b))],
                entity=context,
            )
        yield self._file("README.md", "Says what this is, how it is run, and what its API offers.")
        for path, purpose in _TESTS.items():
            yield self._file(path, purpose, is_test=True)
        for entity, context in zip(
            self._blueprint.entities, self._context["entities"], strict=True
        ):
            yield self._file(
                f"tests/test_{entity.module}.py",
                f"Tests what the API and the pages do with {in_sentence(entity.plural)}.",
                template="tests/test_entity.py",
                is_test=True,
                entity=context,
            )

    def _ids_of(self, kind: Kind) -> list[str]:
        everything: list[Behaviour] = [*self._blueprint.overview]
        for entity in self._blueprint.entities:
            everything.extend(entity.behaviours)
        return [id for b in everything if b.kind is kind and (id := self._blueprint.ids.get(b))]

    def _file(
        self,
        path: str,
        purpose: str,
        *,
        template: str = "",
        ids: Sequence[str] = (),
        is_test: bool = False,
        **context: object,
    ) -> ComposedFile:
        name = template or path
        content = _templates().get_template(f"{name}.jinja").render(**self._context, **context)
        if is_test:
            ids = re.findall(r"(?<![\w-])N?FR-\d+(?!\w|-\w)", content)
        return ComposedFile(
            path=path,
            content=content.rstrip("\n") + "\n" if content.strip() else "",
            purpose=purpose,
            requirement_ids=tuple(sorted(dict.fromkeys(ids), key=_number)),
            is_test=is_test,
        )


_APPLICATION = {
    "app/__init__.py": "Names the application.",
    "app/__main__.py": "Starts the application from its settings and stops it in good order.",
    "app/schema.py": "Defines what an entity, a workflow and a schema are.",
    "app/fields.py": "Reads, checks and shows the values of each kind of field.",
    "app/rules.py": "Judges records by what else is stored.",
    "app/validation.py": "Checks what was sent against the fields of an entity.",
    "app/storage.py": "Keeps, finds, searches and counts records in SQLite.",
    "app/records.py": "Creates, changes and removes records under their rules.",
    "app/server.py": "Reads HTTP requests from sockets and writes the answers.",
    "app/entities/__init__.py": "Lists the entities of the application.",
    "app/web/__init__.py": "Holds what answers requests.",
    "app/web/messages.py": "Defines requests and responses, and the headers that protect.",
    "app/web/html.py": "Builds HTML in which text is escaped.",
    "app/web/forms.py": "Shows and reads the forms of records.",
    "app/web/pages.py": "Shows records to people.",
    "app/web/api.py": "Shows records to programs.",
    "app/web/application.py": "Routes requests, refuses those of other sites, and answers errors.",
    "app/web/style.css": "Styles the pages, for narrow windows and dark rooms too.",
}

_ANSWERS = {
    "app/rules.py": (
        Kind.UNIQUE,
        Kind.ORDER,
        Kind.WORKFLOW,
        Kind.DEADLINE,
        Kind.CAPACITY,
        Kind.STOCK,
        Kind.EXCLUSIVE,
    ),
    "app/web/pages.py": (Kind.OVERVIEW,),
}
"""Which behaviours a file has for every entity. The others are declared by the entities."""

_TESTS = {
    "tests/__init__.py": "Holds the tests.",
    "tests/samples.py": "Holds valid records to test with.",
    "tests/running.py": "Runs the application for a test and talks to it.",
    "tests/test_fields.py": "Tests how values are read and shown.",
    "tests/test_storage.py": "Tests transactions, search and the growing of older files.",
    "tests/test_web.py": "Tests what holds for every request.",
}


def _entity_context(entity: EntityPlan, blueprint: Blueprint) -> dict[str, Any]:
    rules = rule_calls(entity, blueprint)
    deadline = deadline_call(entity)
    classes = sorted({field.class_name for field in entity.fields})
    rule_classes = sorted({rule.name for rule in rules} | ({"Deadline"} if deadline else set()))
    ids = [id for b in entity.behaviours if (id := blueprint.ids.get(b))]
    return {
        "name": entity.name,
        "plural": entity.plural,
        "class_name": entity.class_name,
        "module": entity.module,
        "path": entity.path,
        "table": entity.table,
        "titled_by": entity.titled_by,
        "declarations": tuple(field.declaration for field in entity.fields),
        "fields": [{"name": field.name, "required": field.required} for field in entity.fields],
        "field_classes": classes,
        "rules": tuple(rules),
        "rule_classes": rule_classes,
        "workflow": workflow_call(entity),
        "status": entity.field(entity.machine.field).name if entity.machine else "",
        "deadline": deadline,
        "docstring": f"{entity.description}{_answers(ids)}",
        "sample": sample(entity),
        "ids": ids_of(entity, blueprint),
        "tests": expectations(entity, blueprint),
    }


@cache
def _templates() -> jinja2.Environment:
    """The templates. Escaping is theirs to choose: what they write is Python, not HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("adapters.offline"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        literal=literal,
        call=call,
        docstring=docstring,
        arguments=arguments,
        escaped=escape,
        markdown=_markdown,
    )
    environment.globals.update(cite=_cite, answers=_answers)
    return environment


def _cite(ids: Sequence[str], text: str) -> str:
    """A test's docstring: the requirements that it proves, then what it shows."""
    return f"{', '.join(ids)}: {text}" if ids else f"{text[:1].upper()}{text[1:]}"


def _answers(ids: Sequence[str]) -> str:
    """The end of a docstring: which requirements the code below it answers."""
    return f"\n\nAnswers {joined(list(ids))}." if ids else ""


def _markdown(text: str) -> str:
    """``text`` so that a Markdown viewer shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>&$~-])", r"\\\1", text.replace("\n", " "))


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (t.id for t in targets if isinstance(t, ast.Name) and t.id.isupper())


def _number(id: str) -> tuple[str, int]:
    prefix, _, number = id.partition("-")
    return prefix, int(number)
