"""Requests made of the document: nothing breaks, and every answer is one the document says.

The number of requests is bounded and their choice is fixed, so that a failure comes again.
``HYPOTHESIS_PROFILE=thorough`` makes many more.
"""

import copy
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from tests.described import document
from tests.integration.described.conftest import Laboratory

load_all_checks()
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
NOT_SET_UP = '"code":"provider_not_configured"'
"""The laboratory has no Google: its operations say so, as the document has it."""

SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = [pytest.param(each.ok(), id=each.ok().label) for each in SCHEMA.get_all_operations()]

THOROUGH = settings.default is not None and settings.default.max_examples > 1_000
FITTING, NOT_FITTING = (200, 200) if THOROUGH else (8, 4)
"""Requests an operation, that fit what it takes, and that do not."""


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_answer_is_one_the_document_says(operation: Any, at_home: Laboratory) -> None:
    callers = at_home.callers
    known = {
        name: value for name, value in at_home.known.items() if f"{{{name}}}" in operation.path
    }
    with requests.Session() as session:
        session.trust_env = False
        for mode, examples in (
            (GenerationMode.POSITIVE, FITTING),
            (GenerationMode.NEGATIVE, NOT_FITTING),
        ):

            @settings(
                max_examples=examples,
                derandomize=True,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(
                case=operation.as_strategy(generation_mode=mode, path_parameters=known or None),
                caller=st.sampled_from([*callers, "nobody"]),
            )
            def called(case: Any, caller: str) -> None:
                answer = case.call(
                    base_url=at_home.url, session=session, headers=callers.get(caller, {})
                )
                excluded = (
                    [schemathesis.checks.not_a_server_error] if NOT_SET_UP in answer.text else []
                )
                case.validate_response(answer, checks=CHECKS, excluded_checks=excluded)

            try:
                called()
            except BaseException as error:
                error.add_note(at_home.faults())
                raise


@pytest.mark.parametrize("said", ["no such status", "another type"])
def test_the_checks_find_what_the_document_does_not_say(laboratory: Laboratory, said: str) -> None:
    changed = copy.deepcopy(document())
    if said == "no such status":
        del changed["paths"]["/api/v1/plans"]["get"]["responses"]["200"]
    else:
        changed["components"]["schemas"]["PlanView"]["properties"]["name"] = {"type": "integer"}
    operation = schemathesis.openapi.from_dict(changed)["/api/v1/plans"]["GET"]
    case = operation.Case()
    answer = case.call(base_url=laboratory.url)
    with pytest.raises(FailureGroup):
        case.validate_response(answer, checks=CHECKS)
