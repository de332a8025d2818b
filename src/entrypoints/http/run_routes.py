"""Runs: their state, their log, permits for their live stream, and their end."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_202_ACCEPTED

from application.ports.idempotency import Completion
from application.ports.language_model import ModelProvider
from application.ports.security import Principal
from application.projects.retry_run import RetryRun
from application.runs.cancel_run import CancelRun
from application.runs.follow_run import TICKET_SECONDS, IssueStreamTicket
from application.runs.show_run import ReadEvents, ShowRun
from domain.audit.origin import Origin
from domain.identity.user import Permission
from domain.projects.run import Run
from domain.shared.errors import InvalidValue
from domain.shared.ids import RunId
from domain.shared.money import rupees
from entrypoints.http.access import COST, requires
from entrypoints.http.bodies import MOST_NUMBER
from entrypoints.http.idempotency import OncePerKey
from entrypoints.http.keyed_requests import note_run
from entrypoints.http.price_schemas import RateView
from entrypoints.http.routing import get, post
from entrypoints.http.schemas import (
    EventPageView,
    EventView,
    RetryRequest,
    RunDetailView,
    RunView,
    TaskView,
    TicketView,
)

MAX_EVENTS = 500


class RunController(Controller):
    """Runs."""

    path = "/runs"
    tags = ("Runs",)

    @get("/{run_id:str}", guards=[requires(Permission.PROJECTS_READ)], summary="Show a run")
    async def show(
        self,
        run_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        show_run: NamedDependency[ShowRun],
        provider: NamedDependency[ModelProvider],
        rules_provider: NamedDependency[ModelProvider],
    ) -> RunDetailView:
        """The run, its steps, and what they used and cost."""
        account = await show_run(principal.user_id, RunId(run_id))
        tasks = account.tasks
        credits = sum(task.credits for task in tasks)
        answers = rules_provider if account.run.test else provider
        return RunDetailView(
            run=RunView.of(account.run),
            tasks=[TaskView.of(task) for task in tasks],
            tokens_used=sum(task.usage.total for task in tasks),
            cost_nano_usd=sum(task.cost_nano_usd for task in tasks),
            house_nano_usd=sum(task.house_nano_usd for task in tasks),
            house_credits=sum(account.rate.credits_for(task.house_nano_usd) for task in tasks),
            exchange_rate=RateView.of(account.rate),
            credits=credits,
            cost=rupees(credits),
            provider=answers.name,
            offline=answers.offline,
            notice=answers.notice,
        )

    @post(
        "/{run_id:str}/cancel",
        guards=[requires(Permission.PROJECTS_EXECUTE)],
        status_code=HTTP_202_ACCEPTED,
        summary="Cancel a run",
    )
    async def cancel(
        self,
        run_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        cancel_run: NamedDependency[CancelRun],
        once: NamedDependency[OncePerKey],
    ) -> Response[RunView]:
        """Ask a live run to stop. What is finished is kept."""
        return await once(
            lambda completion: cancel_run(principal.user_id, RunId(run_id), once=completion),
            RunView.of,
        )

    @post(
        "/{run_id:str}/retry",
        guards=[requires(Permission.PROJECTS_EXECUTE)],
        status_code=HTTP_202_ACCEPTED,
        opt={COST: 5},
        summary="Retry a run",
    )
    async def retry(
        self,
        run_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        retry_run: NamedDependency[RetryRun],
        once: NamedDependency[OncePerKey],
        data: JSONBody[RetryRequest | None] = None,
    ) -> Response[RunView]:
        """Accept a new run in place of one that failed, died or was cancelled.

        It goes on from what is finished.
        """

        async def accept(completion: Completion[Run] | None) -> Run:
            run = await retry_run(
                principal.user_id,
                RunId(run_id),
                origin=origin,
                cap_credits=None if data is None else data.cap_credits,
                key=principal.key,
                once=completion,
            )
            note_run(once.request, run.id)
            return run

        return await once(accept, RunView.of)

    @get(
        "/{run_id:str}/events",
        guards=[requires(Permission.PROJECTS_READ)],
        summary="Read a run's log",
    )
    async def events(
        self,
        run_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        read_events: NamedDependency[ReadEvents],
        after: Annotated[int, QueryParameter(description="Entries above this number.")] = 0,
        limit: Annotated[int, QueryParameter(description="Entries, 1 to 500.")] = 100,
    ) -> EventPageView:
        """Entries of the run's log, in order, without gaps."""
        if not 0 <= after <= MOST_NUMBER:
            raise InvalidValue("after", "Give a number of 0 or more, as an entry has it.")
        if not 1 <= limit <= MAX_EVENTS:
            raise InvalidValue("limit", f"Ask for 1 to {MAX_EVENTS} entries.")
        run, entries = await read_events(principal.user_id, RunId(run_id), after=after, limit=limit)
        return EventPageView(
            items=[EventView.of(entry) for entry in entries],
            last_event=run.event_seq,
            live=run.live,
        )

    @post(
        "/{run_id:str}/stream-ticket",
        guards=[requires(Permission.PROJECTS_READ)],
        summary="Get a stream ticket",
    )
    async def stream_ticket(
        self,
        run_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        issue_stream_ticket: NamedDependency[IssueStreamTicket],
    ) -> TicketView:
        """A single-use permit to open the run's live stream, good for 30 seconds."""
        ticket = await issue_stream_ticket(principal, RunId(run_id))
        return TicketView(
            ticket=ticket,
            expires_in=TICKET_SECONDS,
            stream_url=f"/api/v1/runs/{run_id}/stream",
        )
