"""The OpenAPI document holds for every operation, the next one included.

A test that fails for a new route says what the route, or what it is read off, still lacks.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

import entrypoints.container  # noqa: F401  # the whole house, so that no error is left out
from entrypoints.http.openapi.document import described_handlers, operations
from entrypoints.http.openapi.examples import Examples
from entrypoints.http.openapi.guards import unknown_guards
from entrypoints.http.openapi.prose import TAGS
from entrypoints.http.openapi.refusals import codes_by_name, raised_by, use_cases_called
from entrypoints.http.openapi.samples import OF_SCHEMA
from entrypoints.http.problems import MEDIA_TYPE, PROBLEMS, problem_body
from tests.described import application, document, validator

ANSWERED_BY_NO_OPERATION = {
    "method_not_allowed": "no operation is met: the path has others",
    "email_taken": "whether an address has an account is told to nobody",
    "insufficient_credits": "it ends a run, which has it as its error_code",
}
"""Codes that stand in no operation, and why."""

NOT_ANSWERED = {"KeyClaimLost": "the reply of the request that came first is sent instead"}
"""Errors that use cases raise and no caller sees, and why."""

JSON = "application/json"


def named() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Every operation with its name and its handler."""
    handlers = {(path, method): each for path, method, each in described_handlers(application())}
    for path, method, operation in operations(document()):
        yield f"{method.upper()} {path}", operation, handlers[path, method]


def problems_of(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The example of every problem that an operation may answer with, by its code."""
    return {
        code: example["value"]
        for answer in operation["responses"].values()
        for code, example in answer["content"].get(MEDIA_TYPE, {}).get("examples", {}).items()
    }


def bodies() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every body in requests and answers: where, its media type, its schema and examples."""
    for name, operation, _ in named():
        parts = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for part, of_part in parts.items():
            for media_type, content in of_part.get("content", {}).items():
                yield f"{name} {part}", media_type, content


def test_an_operation_says_what_it_does() -> None:
    for name, operation, _ in named():
        assert operation.get("summary"), f"give {name} a summary"
        assert operation.get("description"), f"give the handler of {name} a docstring"
        assert operation.get("tags"), f"give the controller of {name} tags"
        assert set(operation["tags"]) <= set(TAGS), (
            f"say in openapi/prose.py: TAGS what {operation['tags']} of {name} is about"
        )


def test_every_body_has_an_example() -> None:
    lacking = [
        where
        for where, media_type, content in bodies()
        if media_type in (JSON, MEDIA_TYPE) and not content.keys() & {"example", "examples"}
    ]
    assert not lacking


def test_every_example_fits_its_schema() -> None:
    wrong = set()
    for where, media_type, content in bodies():
        if media_type not in (JSON, MEDIA_TYPE):
            continue
        fits = validator(content["schema"])
        examples = [each["value"] for each in content.get("examples", {}).values()]
        for example in examples or [content["example"]]:
            for error in fits.iter_errors(example):
                field = ".".join(map(str, error.instance_path))
                wrong.add(f"{where}: {field}: {error.message}")
    assert not wrong, (
        "a field of that name is something else here; give the schema its own word in "
        "openapi/samples.py: OF_SCHEMA"
    )


def test_every_text_field_has_a_word() -> None:
    wordless = sorted(Examples(document()["components"]["schemas"]).wordless())
    assert not wordless, (
        f"add what {wordless} are like to openapi/samples.py: to WORDS under the field's name, or "
        "to OF_SCHEMA under the schema's, if the name means something else elsewhere"
    )


def test_no_word_is_for_a_schema_or_a_field_that_is_gone() -> None:
    schemas = document()["components"]["schemas"]
    gone = [
        f"{name}.{field}"
        for name, words in OF_SCHEMA.items()
        for field in words
        if field not in schemas.get(name, {}).get("properties", {})
    ]
    assert not gone, "take them out of openapi/samples.py: OF_SCHEMA"


def test_a_request_s_example_is_one_that_its_handler_takes() -> None:
    for name, operation, handler in named():
        body = handler.parsed_fn_signature.parameters.get("data")
        if body is not None:
            example = operation["requestBody"]["content"][JSON]["example"]
            assert msgspec.convert(example, body.annotation, strict=True), name


def test_what_must_be_given_has_no_default() -> None:
    for name, operation, _ in named():
        for parameter in operation["parameters"]:
            if parameter.get("required"):
                assert "default" not in parameter["schema"], f"{name}: {parameter['name']}"


def test_a_body_that_a_handler_does_without_is_not_required() -> None:
    without = {
        name
        for name, operation, handler in named()
        if "requestBody" in operation
        and handler.parsed_fn_signature.parameters["data"].default is None
    }
    free = {
        name
        for name, operation, _ in named()
        if operation.get("requestBody", {}).get("required") is False
    }
    assert "POST /api/v1/projects/{project_id}/execute" in free
    assert free == without


def test_every_problem_s_status_and_code_are_choices_of_one_type() -> None:
    for where, media_type, content in bodies():
        if media_type == MEDIA_TYPE:
            _, own = content["schema"]["allOf"]
            kinds = {name: each["type"] for name, each in own["properties"].items()}
            assert kinds == {"code": "string", "status": "integer"}, where
            assert all(each.keys() == {"type", "enum"} for each in own["properties"].values())


def test_an_operation_says_what_it_may_refuse() -> None:
    for name, operation, _ in named():
        codes = problems_of(operation)
        expected = {"internal_error"}
        if operation["security"]:
            expected |= {"not_authenticated", "insufficient_scope", "rate_limited"}
        if "requestBody" in operation:
            expected |= {"malformed_json", "invalid_request", "invalid_value"}
        assert expected <= set(codes), name
        for code, example in codes.items():
            kind = PROBLEMS[code]
            assert str(kind.status) in operation["responses"]
            assert (example["status"], example["title"]) == (kind.status, kind.title)
            assert example["detail"]


def test_every_code_is_some_operation_s() -> None:
    answered = {code for _, operation, _ in named() for code in problems_of(operation)}
    missing = set(PROBLEMS) - answered - set(ANSWERED_BY_NO_OPERATION)
    assert not missing, (
        f"{sorted(missing)} stand in the error table, but no use case that a route calls has their "
        "errors under 'Raises:' in its docstring; add them there"
    )


def test_what_use_cases_are_said_to_raise_has_a_code() -> None:
    known = set(codes_by_name()) | set(NOT_ANSWERED)
    strange = {
        f"{method.__qualname__}: {error}"
        for _, _, handler in named()
        for method in use_cases_called(handler)
        for error in raised_by(method)
        if error not in known
    }
    assert not strange, "no error of the domain has that name; see openapi/refusals.py: ELSEWHERE"


def test_the_guards_can_be_read() -> None:
    unread = [name for name, _, handler in named() if unknown_guards(handler)]
    assert not unread, "say in openapi/guards.py what their guards ask for"


def test_security_is_nothing_or_a_token_or_a_token_and_a_key_of_like_scopes() -> None:
    for name, operation, _ in named():
        match operation["security"]:
            case [] | [{"bearer": _}]:
                pass
            case [{"bearer": of_person}, {"api_key": of_key}]:
                assert of_person == of_key, name
                assert of_key, name
            case other:
                raise AssertionError(f"{name}: {other}")


def test_security_is_that_of_the_guards() -> None:
    by_id = {operation["operationId"]: operation["security"] for _, operation, _ in named()}
    both = ["keys:issue", "keys:manage"]
    assert by_id["session_login"] == []
    assert by_id["key_issue"] == [{"bearer": both}, {"api_key": both}]


def test_every_answer_has_the_headers_of_every_answer() -> None:
    for name, operation, _ in named():
        for status, answer in operation["responses"].items():
            assert {"X-Request-Id", "RateLimit", "RateLimit-Policy"} <= set(answer["headers"])
            # A refusal for want of room, or of time, is made before anybody is counted.
            counted = status not in ("429", "503", "504")
            assert ("$ref" in answer["headers"]["RateLimit"]) is counted, f"{name} {status}"
            later = "Retry-After" in answer["headers"]
            assert later == (status in ("409", "429", "503")), name


def test_whoever_may_repeat_a_request_is_told_how() -> None:
    keyed = 0
    for name, operation, _ in named():
        once = any(each.get("name") == "Idempotency-Key" for each in operation["parameters"])
        keyed += once
        success = next(iter(operation["responses"].values()))
        assert once == ("idempotency_mismatch" in problems_of(operation)), name
        assert once == ("Idempotency-Replayed" in success["headers"]), name
    assert keyed > 20


def test_the_document_is_valid_openapi_3_1() -> None:
    import schemathesis  # takes a second, and only here

    assert document()["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document()).validate()


def test_names_are_unique() -> None:
    names = [operation["operationId"] for _, operation, _ in named()]
    assert len(names) == len(set(names)) > 80


def test_the_stream_and_the_webhooks_are_described() -> None:
    assert "/api/v1/runs/{run_id}/stream" in document()["info"]["description"]
    assert "run.succeeded" in document()["webhooks"]


def test_no_fact_of_an_error_stands_in_place_of_a_member_of_problem_details() -> None:
    body = problem_body("run_not_live", "It is over.", "/here", "id", {"status": "dead", "more": 1})
    assert (body["status"], body["more"]) == (409, 1)
