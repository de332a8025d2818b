"""What partners rely on under ``/api/v1``, one fact a line, and what a change to it means.

The facts are read off the OpenAPI document and kept in :data:`KEPT`. A fact that is gone breaks
somebody, unless a looser one stands in its place; a new one does not, unless it asks for more.
``make api-contract`` accepts what breaks nobody.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entrypoints.http.openapi.document import operations
from tests.described import document

KEPT = Path(__file__).parent / "unit/entrypoints/api_v1.txt"

Json = dict[str, Any]

REQUIRES, TAKES, HAS, MAY_HAVE, REFUSES = "requires", "takes", "has", "may have", "refuses"

LOOSER = {REQUIRES: TAKES, MAY_HAVE: HAS}
"""What may stand in place of what is gone: asking for less, promising more."""


@dataclass(frozen=True)
class Difference:
    """The facts that break somebody, and those that do not."""

    breaking: tuple[str, ...]
    additive: tuple[str, ...]


def facts(described: Json) -> set[str]:
    """Everything that a partner may rely on."""
    found: set[str] = set()
    asked, answered = set[str](), set[str]()
    for path, method, operation in operations(described):
        if not path.startswith("/api/v1/"):
            continue
        name = f"{method.upper()} {path}"
        found.add(f"{name} is {operation['operationId']}")
        found.update(f"{name} {fact}" for fact in _needs(operation))
        for parameter in operation["parameters"]:
            if "$ref" not in parameter:
                verb = REQUIRES if parameter.get("required") else TAKES
                found.add(f"{name} {verb} {parameter['in']} {_field(parameter)}")
        body = operation.get("requestBody")
        if body:
            verb = REQUIRES if body.get("required") else TAKES
            for media_type, content in body["content"].items():
                found.add(f"{name} {verb} body {media_type}: {_type(content['schema'])}")
                asked.update(_reached(content["schema"], described))
        for status, answer in operation["responses"].items():
            for media_type, content in answer.get("content", {}).items():
                if "examples" in content:
                    found.update(
                        f"{name} {REFUSES} {status} {code}" for code in content["examples"]
                    )
                else:
                    found.add(f"{name} answers {status} {media_type}: {_type(content['schema'])}")
                    answered.update(_reached(content["schema"], described))
            if not answer.get("content"):
                found.add(f"{name} answers {status}")
    schemas = described["components"]["schemas"]
    for name in asked:
        found.update(_of_schema(name, schemas[name], REQUIRES, TAKES))
    for name in answered:
        found.update(_of_schema(name, schemas[name], HAS, MAY_HAVE))
    found.update(f"webhook {type_}" for type_ in described.get("webhooks", {}))
    return found


def difference(before: set[str], now: set[str]) -> Difference:
    """What the change from one to the other means."""
    gone = before - now
    new = now - before
    excused = {fact for fact in gone if _replaced(fact, now) or f" {REFUSES} " in fact}
    asking = {fact for fact in new if _asks(fact) and not _known_place(fact, before)}
    breaking = (gone - excused) | asking
    return Difference(tuple(sorted(breaking)), tuple(sorted((excused | new) - asking)))


def kept() -> set[str]:
    """The facts that were accepted last."""
    return set(KEPT.read_text().splitlines())


def _replaced(fact: str, now: set[str]) -> bool:
    looser = [
        fact.replace(f" {strict} ", f" {loose} ", 1)
        for strict, loose in LOOSER.items()
        if f" {strict} " in fact
    ]
    # What may be left out may be null too.
    return any(each in now or (_asks(fact) and f"{each}|null" in now) for each in looser)


def _asks(fact: str) -> bool:
    return f" {REQUIRES} " in fact


def _known_place(fact: str, before: set[str]) -> bool:
    """Whether it asks of something new: an operation or a schema that was not there."""
    place = fact.partition(f" {REQUIRES} ")[0]
    return not any(old.startswith(f"{place} ") for old in before)


def _needs(operation: Json) -> Iterator[str]:
    if not operation["security"]:
        yield "needs nothing"
    for requirement in operation["security"]:
        for scheme, scopes in requirement.items():
            yield f"needs {scheme} {', '.join(sorted(scopes))}".rstrip()


def _of_schema(name: str, schema: Json, required: str, optional: str) -> Iterator[str]:
    """The facts of one schema, as a request or an answer has it."""
    for value in schema.get("enum", ()):
        yield f"{name} knows {value}"
    for field, of_field in schema.get("properties", {}).items():
        verb = required if field in schema.get("required", ()) else optional
        yield f"{name} {verb} {field}: {_type(of_field)}"


def _field(parameter: Json) -> str:
    return f"{parameter['name']}: {_type(parameter['schema'])}"


_BOUNDS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"),
    *("minItems", "maxItems", "pattern"),
)


def _type(schema: Json) -> str:
    """A schema as one word or a few."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for choice in ("oneOf", "anyOf", "allOf"):
        if choice in schema:
            return "|".join(sorted(_type(each) for each in schema[choice]))
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    kind = schema.get("type", "anything")
    bounds = ", ".join(f"{name} {schema[name]}" for name in _BOUNDS if name in schema)
    if kind == "array":
        kind = f"list of {_type(schema['items'])}"
    elif "additionalProperties" in schema:
        rest = schema["additionalProperties"]
        kind = f"map of {_type(rest) if isinstance(rest, dict) else 'anything'}"
    elif "format" in schema:
        kind = f"{kind} {schema['format']}"
    return f"{kind} ({bounds})" if bounds else str(kind)


def _reached(schema: Any, described: Json) -> Iterator[str]:
    """The schemas that one leads to, itself among them if it has a name."""
    seen: set[str] = set()
    ahead = [schema]
    while ahead:
        each = ahead.pop()
        if isinstance(each, list):
            ahead += each
        elif isinstance(each, dict):
            if "$ref" in each:
                name = str(each["$ref"]).rpartition("/")[2]
                if name not in seen:
                    seen.add(name)
                    ahead.append(described["components"]["schemas"][name])
            ahead += [value for key, value in each.items() if key not in ("example", "examples")]
    return iter(sorted(seen))


def main() -> None:
    """Accept the present facts: those that break nobody, or with ``--breaking`` all of them."""
    now = facts(document())
    if KEPT.exists() and "--breaking" not in sys.argv:
        found = difference(kept(), now)
        if found.breaking:
            print("These break partners under /api/v1; nothing was accepted:")
            print("\n".join(f"  {fact}" for fact in found.breaking))
            raise SystemExit(1)
    KEPT.write_text("\n".join(sorted(now)) + "\n")
    print(f"{len(now)} facts are kept in {KEPT.name}.")


if __name__ == "__main__":
    main()
