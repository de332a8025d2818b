"""Examples, put together from schemas and the API's words, so that no route needs its own."""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from entrypoints.http.openapi.samples import DAY, LEFT_OUT, MOMENT, NUMBER, OF_SCHEMA, WORDS

Schema = Mapping[str, Any]

_REF = "#/components/schemas/"
_KIND_OF_SCHEMA = re.compile(r"(?:Detail|Summary|Page|List)?(?:View|Request|Body)$")
_MISSING = object()
_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
}


class Examples:
    """Makes examples of a document's schemas."""

    def __init__(self, components: Mapping[str, Schema]) -> None:
        self._components = components

    def of(self, schema: Schema, field: str = "", within: str = "") -> Any:
        """A value that fits the schema, as ``field`` of the component ``within`` would have."""
        word = OF_SCHEMA.get(within, {}).get(field, _MISSING)
        if word is not _MISSING:
            return word
        schema, name = self._followed(schema)
        if "properties" in schema:
            return self._object(schema, name or within)
        if schema.get("type") == "array":
            whole, (items, _) = WORDS.get(field), self._followed(schema["items"])
            if isinstance(whole, list) and items.get("type") == "string":
                return whole
            return [self.of(schema["items"], field, within)]
        return _scalar(schema, field, within)

    def wordless(self) -> Iterator[str]:
        """The text fields, as ``Schema.field``, that no word says the like of."""
        for name, schema in self._components.items():
            for field, of_field in schema.get("properties", {}).items():
                followed, _ = self._followed(of_field)
                if followed.get("type") == "array":
                    followed, _ = self._followed(followed["items"])
                if field in WORDS or field in OF_SCHEMA.get(name, {}):
                    continue
                plain_text = followed.get("type") == "string" and not (
                    followed.keys() & {"enum", "format", "const"}
                )
                if plain_text or "additionalProperties" in followed:
                    yield f"{name}.{field}"

    def _object(self, schema: Schema, name: str) -> dict[str, Any]:
        made = {
            field: self.of(of_field, field, name)
            for field, of_field in schema["properties"].items()
        }
        return {field: value for field, value in made.items() if value is not LEFT_OUT}

    def _followed(self, schema: Schema) -> tuple[Schema, str]:
        """The schema that a reference, or a choice with null, leads to, and its component."""
        for choice in ("oneOf", "anyOf", "allOf"):
            if choice in schema:
                return self._followed(
                    next(each for each in schema[choice] if each.get("type") != "null")
                )
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(_REF)
            return self._components[name], name
        return schema, ""


def _scalar(schema: Schema, field: str, within: str) -> Any:
    word = WORDS.get(field, _MISSING)
    if word is not _MISSING and _fits(word, schema):
        return word
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    match schema.get("format") or schema.get("type"):
        case "uuid":
            return _identifier(field, within)
        case "date-time":
            return MOMENT
        case "date":
            return DAY
        case "integer" | "number":
            return NUMBER
        case "boolean":
            return False
        case "object":
            return {}
    return field


def _fits(word: Any, schema: Schema) -> bool:
    """Whether a word is of the schema's kind: a name may be a text here and a number there."""
    if "enum" in schema:
        return word in schema["enum"]
    if word is None:
        return True
    plain = "format" not in schema
    return plain and isinstance(word, _KINDS.get(str(schema.get("type")), ()))


def _identifier(field: str, within: str) -> str:
    """An id that is the same for the same thing: a project's own, and every ``project_id``."""
    if field == "id":
        stem = _KIND_OF_SCHEMA.sub("", within)
        field = re.sub(r"(?<!^)(?=[A-Z])", "_", stem).lower() + "_id"
    digits = sha256(field.encode()).hexdigest()
    return f"019a5a3e-{digits[:4]}-7{digits[4:7]}-8{digits[7:10]}-{digits[10:22]}"
