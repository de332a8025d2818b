"""``Idempotency-Key``: a POST repeated with its key is answered as the first time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any, TypeVar, cast

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import HeaderParameter

from application.idempotency.answer_once import AnswerOnce, KeyedRequest
from application.ports.idempotency import Completion, StoredReply
from application.ports.security import Principal
from domain.shared.errors import DomainError, InvalidValue
from domain.shared.idempotency import HEADER, MAX_KEY_LENGTH, IdempotencyKey
from domain.shared.ids import UserId
from entrypoints.http.problems import answer_to

HEADER_REPLAYED = "Idempotency-Replayed"

R = TypeVar("R")
V = TypeVar("V", bound=msgspec.Struct)

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class OncePerKey:
    """Has a handler's effect once per key; without a key, every time.

    What the view shows is kept for a day, so it must not show a secret. A secret that is
    shown once is shown by ``first``, whose answer is not kept: a repeat gets the view.
    """

    request: Request[Any, Any, Any]
    principal: Principal
    answer_once: AnswerOnce
    key: IdempotencyKey | None

    async def __call__(
        self,
        effect: Callable[[Completion[R] | None], Awaitable[R]],
        view: Callable[[R], V],
        *,
        first: Callable[[R], V] | None = None,
        account: UserId | None = None,
    ) -> Response[V]:
        """The answer that shows the effect's result, its own or the first one's.

        ``account`` is whose the effect is, where an operator has it on somebody else's: the
        reply is kept there, for it must be in the effect's own commit.

        Raises:
            IdempotencyMismatch: the key was used for another request.
            IdempotencyInFlight: the first request with it is still being worked on.
        """
        if self.key is None:
            return Response((first or view)(await effect(None)))
        status: int = self.request.route_handler.status_code

        def render(result: R) -> StoredReply:
            return StoredReply(
                status=status,
                headers={"Content-Type": _JSON},
                body=msgspec.json.encode(view(result)),
            )

        results: list[R] = []

        async def noted(completion: Completion[R]) -> R:
            results.append(await effect(completion))
            return results[-1]

        answer = await self.answer_once(
            KeyedRequest(
                user_id=account or self.principal.user_id,
                key=self.key if account is None else self.key.by(self.principal.user_id),
                request_hash=await _fingerprint(self.request, self.principal),
            ),
            noted,
            render=render,
            refusal=self._refusal,
        )
        if first is not None and results:
            return Response(first(results[-1]))
        headers = dict(answer.reply.headers)
        if answer.replayed:
            headers[HEADER_REPLAYED] = "true"
        # Bytes already: what is sent is what is stored. The type tells the schema the rest.
        return cast(
            Response[V],
            Response(
                answer.reply.body,
                status_code=answer.reply.status,
                media_type=headers.pop("Content-Type"),
                headers=headers,
            ),
        )

    def _refusal(self, error: DomainError) -> StoredReply | None:
        """A refusal by the present state is an outcome, and kept.

        A body to mend, a request to send again later and a fault of ours are none.
        """
        if isinstance(error, InvalidValue):
            return None
        answer = answer_to(self.request, error)
        status = answer.status_code or HTTPStatus.INTERNAL_SERVER_ERROR
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return None
        return StoredReply(
            status=status,
            headers={"Content-Type": str(answer.media_type)},
            body=answer.content,
        )


def provide_once(
    request: Request[Any, Any, Any],
    principal: NamedDependency[Principal],
    answer_once: NamedDependency[AnswerOnce],
    idempotency_key: Annotated[
        str | None,
        HeaderParameter(
            name=HEADER,
            description=(
                f"Your name for this request, 1 to {MAX_KEY_LENGTH} printable ASCII characters, "
                "e.g. a UUID. For 24 hours, repeats with the same key have no further effect "
                "and get the first answer."
            ),
        ),
    ] = None,
) -> OncePerKey:
    """The request's key, if it came with one.

    Raises:
        InvalidValue: the header is there and does not fit, or is there twice.
    """
    given = request.headers.getall(HEADER, [])
    if len(given) > 1:
        raise InvalidValue(HEADER, "Send the header once.")
    key = IdempotencyKey(idempotency_key) if idempotency_key is not None else None
    return OncePerKey(request, principal, answer_once, key)


async def _fingerprint(request: Request[Any, Any, Any], principal: Principal) -> str:
    """A hash of method, address and body; spaces and the order of members do not count.

    What a test key asks for is another request than the same of a live one.
    """
    body = await request.body()
    said = msgspec.json.decode(body) if body else None
    parts = [request.method, request.url.path, request.url.query, said]
    if principal.key is not None and principal.key.test:
        parts.append(principal.key.environment)
    return sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()
