"""What holds for every route, the next one included."""

from collections.abc import Iterator
from inspect import getsource, signature
from typing import Any, get_args, get_type_hints

import msgspec
import msgspec.inspect
import pytest
from litestar import Litestar
from litestar.handlers import BaseRouteHandler

from adapters.security import generate_signing_key
from application.ports.persistence import DatabaseUnavailable
from domain.shared.errors import DomainError
from entrypoints.http.access import GATEWAY
from entrypoints.http.app import create_app
from entrypoints.http.problems import PROBLEMS
from entrypoints.http.routing import Route
from entrypoints.settings import SettingsInvalid, load
from tests.described import application
from tests.unit.entrypoints.test_settings import GOOD

# Litestar's own pages describe the API, which is public.
_GENERATED = "/api/v1/schema"


@pytest.fixture(scope="module")
def app() -> Litestar:
    return application()


def test_without_a_signing_key_there_is_no_application() -> None:
    with pytest.raises(SettingsInvalid, match="JWT_SIGNING_KEY"):
        create_app(load(GOOD))


@pytest.mark.parametrize("peppers", ["", "1:abc", "nonsense"])
def test_without_a_pepper_there_is_no_application(peppers: str) -> None:
    signed = {**GOOD, "JWT_SIGNING_KEY": generate_signing_key()[1]}
    with pytest.raises(SettingsInvalid, match="API_KEY_PEPPERS"):
        create_app(load({**signed, "API_KEY_PEPPERS": peppers}))


def test_without_a_key_for_secrets_there_is_no_application() -> None:
    with pytest.raises(SettingsInvalid, match="SECRET_BOX_KEYS"):
        create_app(load({**GOOD, "JWT_SIGNING_KEY": generate_signing_key()[1]}))


def _handlers(app: Litestar) -> list[BaseRouteHandler]:
    return [
        handler
        for route in app.routes
        if not route.path.startswith(_GENERATED)
        for handler in (
            getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        )
        if handler is not None and handler.fn.__name__ != "options_handler"
    ]


def test_every_route_names_its_guard(app: Litestar) -> None:
    handlers = _handlers(app)
    assert len(handlers) > 20
    unguarded = [
        handler.fn.__qualname__
        for handler in handlers
        if not [
            guard for guard in (handler.guards or ()) if guard.__module__.endswith("http.access")
        ]
    ]
    assert not unguarded


def test_every_route_is_one_of_ours(app: Litestar) -> None:
    others = [each for each in _handlers(app) if not isinstance(each, Route)]
    assert {each.fn.__name__ for each in others} == {"stream"}, "use entrypoints.http.routing"


OF_THE_GATEWAY = {"receive_event", "pay_page", "approve_payment", "decline_payment"}


def test_no_limit_of_persons_and_programs_holds_up_the_gateway(app: Litestar) -> None:
    """And whatever takes its events, or is added to do so, is counted in its own way."""
    apart = {handler.fn.__name__ for handler in _handlers(app) if handler.opt.get(GATEWAY)}
    taking = {
        handler.fn.__name__
        for handler in _handlers(app)
        if "ReceiveWebhook" in str(signature(handler.fn))
    }
    assert taking <= apart == OF_THE_GATEWAY


def test_every_body_is_refused_with_a_field_that_it_does_not_have(app: Litestar) -> None:
    bodies = {
        handler.fn.__name__: get_type_hints(handler.fn)["data"]
        for handler in _handlers(app)
        if "data" in signature(handler.fn).parameters
    }
    assert len(bodies) > 40
    for name, body in bodies.items():
        structs = list(_structs(msgspec.inspect.type_info(body)))
        assert structs, name
        open_ = [each.cls.__name__ for each in structs if not each.forbid_unknown_fields]
        assert not open_, f"{name} takes what nobody reads: {open_}"


def _structs(of: msgspec.inspect.Type) -> Iterator[msgspec.inspect.StructType]:
    """Every struct that is in a type, itself included."""
    if isinstance(of, msgspec.inspect.StructType):
        yield of
        for field in of.fields:
            yield from _structs(field.type)
    for inside in ("type", "item_type", "key_type", "value_type", "types", "item_types"):
        found = getattr(of, inside, ())
        for each in found if isinstance(found, tuple) else (found,):
            yield from _structs(each)


EXEMPT = {
    "preview_change": "it changes nothing",
    "register": "there is no person yet to own a key; an email registers once anyway",
    "resend": "another mail takes the place of the one before",
    "confirm_own_address": "a link is good once",
    "forgot": "another mail takes the place of the one before",
    "reset_own_password": "a link is good once",
    "change_own_password": "the password it asks for is another one afterwards",
    "change_address": "another mail takes the place of the one before",
    "confirm_new": "a link is good once",
    "delete_own": "an account is deleted once",
    "login": "its answer is a secret, and another session harms nobody",
    "refresh": "its answer is a secret, and a token is used once anyway, with a grace of its own",
    "logout": "who is signed out stays so",
    "logout_everywhere": "who is signed out stays so",
    "meet_challenge": "its answer is a secret, and a challenge is met once",
    "propose_factor": "its answer is a secret, and nothing counts before it is confirmed",
    "confirm_factor": "its answer is secrets, and a secret is confirmed once",
    "replace_codes": "its answer is secrets, and the code that it takes is good once",
    "remove_factor": "what is removed stays so",
    "step_up": "the code that it takes is good once",
    "prove": "who has proved it has proved it",
    "confirm_link": "its answer is a secret, and what it links waits once",
    "depart_to_link": "it only says where to go, and has no effect until one comes back",
    "unlink": "what is unlinked stays so",
    "stream_ticket": "its answer is a secret that is good once",
    "verify": "it names one payment, which pays its order once, whoever names it",
    "receive_event": "the gateway sends it, and an event's own id keeps it single",
    "retry_refund": "only a failed refund can be asked for anew, and then it has not failed",
    "retry_event": "an event acted on twice changes nothing",
    "approve_payment": "the simulated gateway's: an order is paid once there",
    "decline_payment": "the simulated gateway's: a declined attempt changes nothing",
    "quote_idea": "it has no effect: the same question may be asked any number of times",
    "quote_project": "it has no effect: the same question may be asked any number of times",
    "suspend": "who is suspended stays so",
    "reinstate": "who may act may act",
    "approve": "an adjustment is decided once",
    "reject": "an adjustment is decided once",
}
"""The POSTs that take no ``Idempotency-Key``, and why."""

SHOWN_ONCE = dict.fromkeys(("issue", "rotate", "add_endpoint", "rotate_secret"), "secret")
"""The POSTs whose first answer has a secret that the stored one lacks, and its field."""

SECRETS = ("token", "secret", "password", "ticket", "key", "credential")


def _posts(app: Litestar) -> dict[str, Any]:
    return {
        handler.fn.__name__: signature(handler.fn)
        for handler in _handlers(app)
        if "POST" in getattr(handler, "http_methods", ())
    }


def test_every_post_takes_an_idempotency_key_or_says_why_not(app: Litestar) -> None:
    posts = _posts(app)
    assert set(EXEMPT) <= set(posts)
    keyed = {name for name, handler in posts.items() if "once" in handler.parameters}
    assert keyed == set(posts) - set(EXEMPT)


def test_no_stored_reply_has_a_field_for_a_secret(app: Litestar) -> None:
    for name, handler in _posts(app).items():
        if name in EXEMPT:
            continue
        (view,) = get_args(handler.return_annotation)
        fields = [field.name for field in msgspec.structs.fields(view)]
        if name in SHOWN_ONCE:
            assert "first=" in getsource(_handler_function(app, name)), name
            fields.remove(SHOWN_ONCE[name])
        shown = {word for field in fields for word in field.split("_")}
        assert not shown & set(SECRETS), name


def _handler_function(app: Litestar, name: str) -> Any:
    return next(handler.fn for handler in _handlers(app) if handler.fn.__name__ == name)


def test_every_operation_is_described(app: Litestar) -> None:
    for path, item in (app.openapi_schema.paths or {}).items():
        for operation in (item.get, item.post, item.put, item.patch, item.delete):
            if operation is not None:
                assert operation.summary, path
                assert operation.description, path


def test_every_domain_error_has_its_answer() -> None:
    import entrypoints.container  # the whole house, so that no error is left out

    assert entrypoints.container
    ours = [error for error in _subclasses(DomainError) if error.code != DomainError.code]
    # The codes that a run may end with, and no request.
    internal = {"unbalanced_entry", "unsafe_paths", "cap_reached"}
    assert DatabaseUnavailable in ours
    assert {error.code for error in ours} - internal <= set(PROBLEMS)


def _subclasses(of: type[DomainError]) -> list[type[DomainError]]:
    return [further for direct in of.__subclasses__() for further in (direct, *_subclasses(direct))]
