"""What admins see of people and of their credits, and may do about them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from application.operations.adjust_credits import AdjustCredits, NewAdjustment
from application.operations.manage_people import ManagePeople, OverseePeople
from application.operations.oversee_runs import OverseeRuns
from application.ports.people import PeopleQuery, PersonSummary
from application.ports.security import Principal
from domain.audit.origin import Origin
from domain.billing.adjustment import Adjustment, AdjustmentStatus
from domain.identity.user import Permission, Role, User
from domain.projects.run import RunStatus
from domain.shared.ids import AdjustmentId, UserId
from entrypoints.http.access import requires
from entrypoints.http.cursors import DEFAULT_LIMIT, Cursor, Limit, cursor_after, page_from
from entrypoints.http.idempotency import OncePerKey
from entrypoints.http.routing import get, post, put
from entrypoints.http.schemas import OverseenRunPageView, OverseenRunView


class PersonView(msgspec.Struct):
    """A person, as an admin sees them. Who is not active may do nothing."""

    id: UUID
    email: str
    name: str
    role: str
    is_active: bool
    created_at: datetime

    @classmethod
    def of(cls, person: PersonSummary | User) -> "PersonView":
        return cls(
            person.id,
            person.email,
            person.name,
            person.role.value,
            person.is_active,
            person.created_at,
        )


class PersonPageView(msgspec.Struct):
    """People, newest first; ``next_cursor`` gets the following page, if there is one."""

    items: list[PersonView]
    next_cursor: str | None


class RoleRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The role in place of the present one."""

    role: Role


class ReasonRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Why, in 1 to 200 characters, for the audit log."""

    reason: str


class AdjustmentRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Credits to give, or, below 0, to take back, and why, in 1 to 500 characters."""

    user_id: UUID
    credits: int
    reason: str


class AdjustmentView(msgspec.Struct):
    """An adjustment: whose, how much, why, who proposed it, and what was decided."""

    id: UUID
    user_id: UUID
    credits: int
    reason: str
    status: str
    proposed_by: UUID
    proposed_at: datetime
    expires_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None

    @classmethod
    def of(cls, adjustment: Adjustment) -> "AdjustmentView":
        return cls(
            adjustment.id,
            adjustment.user_id,
            adjustment.credits,
            adjustment.reason,
            adjustment.status.value,
            adjustment.proposed_by,
            adjustment.proposed_at,
            adjustment.expires_at,
            adjustment.decided_by,
            adjustment.decided_at,
        )


class AdjustmentPageView(msgspec.Struct):
    """Adjustments, newest first; ``next_cursor`` gets the following page, if there is one."""

    items: list[AdjustmentView]
    next_cursor: str | None


_MANAGE = [requires(Permission.USERS_MANAGE, afresh=True)]
_ADJUST = [requires(Permission.LEDGER_ADJUST)]
_APPROVE = [requires(Permission.LEDGER_ADJUST, afresh=True)]


class AdminPeopleController(Controller):
    """Everybody."""

    path = "/admin/users"
    tags = ("Operation",)

    @get("", guards=[requires(Permission.USERS_READ)], summary="List people")
    async def people(
        self,
        oversee_people: NamedDependency[OverseePeople],
        search: Annotated[str, QueryParameter(description="Words in email or name.")] = "",
        role: FromQuery[Role | None] = None,
        is_active: FromQuery[bool | None] = None,
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> PersonPageView:
        """Newest first: with words in email or name, of a role, active or suspended, if asked."""
        found = await oversee_people(
            PeopleQuery(
                page=page_from(cursor, limit),
                search=search.strip(),
                role=role,
                is_active=is_active,
            )
        )
        return PersonPageView(
            items=[PersonView.of(person) for person in found[:limit]],
            next_cursor=cursor_after([person.id for person in found], limit),
        )

    @get("/{user_id:str}", guards=[requires(Permission.USERS_READ)], summary="Show a person")
    async def person(
        self, user_id: FromPath[UUID], oversee_people: NamedDependency[OverseePeople]
    ) -> PersonView:
        """Who they are, and whether they may act."""
        return PersonView.of(await oversee_people.show(UserId(user_id)))

    @get(
        "/{user_id:str}/runs",
        guards=[requires(Permission.RUNS_OPERATE)],
        summary="List a person's runs",
    )
    async def runs_of_person(
        self,
        user_id: FromPath[UUID],
        oversee_people: NamedDependency[OverseePeople],
        oversee_runs: NamedDependency[OverseeRuns],
        status: FromQuery[RunStatus | None] = None,
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> OverseenRunPageView:
        """Newest first, of one state if asked."""
        person = await oversee_people.show(UserId(user_id))
        runs = await oversee_runs.of_person(person.id, status, page_from(cursor, limit))
        return OverseenRunPageView(
            items=[OverseenRunView.of(run) for run in runs[:limit]],
            next_cursor=cursor_after([run.id for run in runs], limit),
        )

    @put("/{user_id:str}/role", guards=_MANAGE, summary="Change a person's role")
    async def set_role(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[RoleRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        manage_people: NamedDependency[ManagePeople],
    ) -> PersonView:
        """It holds from now on, for their keys too. Nobody changes their own."""
        return PersonView.of(
            await manage_people.set_role(
                principal.user_id, UserId(user_id), data.role, origin=origin
            )
        )

    @post(
        "/{user_id:str}/suspend",
        guards=_MANAGE,
        status_code=HTTP_200_OK,
        summary="Suspend a person",
    )
    async def suspend(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[ReasonRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        manage_people: NamedDependency[ManagePeople],
    ) -> PersonView:
        """End what they and their keys may do, at once, and ask their live runs to stop."""
        return PersonView.of(
            await manage_people.suspend(
                principal.user_id, UserId(user_id), data.reason, origin=origin
            )
        )

    @post(
        "/{user_id:str}/reinstate",
        guards=_MANAGE,
        status_code=HTTP_200_OK,
        summary="Reinstate a person",
    )
    async def reinstate(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[ReasonRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        manage_people: NamedDependency[ManagePeople],
    ) -> PersonView:
        """Let them and their keys act again. What was stopped stays so."""
        return PersonView.of(
            await manage_people.reinstate(
                principal.user_id, UserId(user_id), data.reason, origin=origin
            )
        )


class AdminAdjustmentController(Controller):
    """Adjustments of credits: one admin proposes, another decides."""

    path = "/admin/adjustments"
    tags = ("Operation",)

    @get("", guards=_ADJUST, summary="List adjustments")
    async def adjustments(
        self,
        adjust_credits: NamedDependency[AdjustCredits],
        status: FromQuery[AdjustmentStatus | None] = None,
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> AdjustmentPageView:
        """Newest first, of one state if asked, whoever they are for."""
        found = await adjust_credits(page_from(cursor, limit), status)
        return AdjustmentPageView(
            items=[AdjustmentView.of(each) for each in found[:limit]],
            next_cursor=cursor_after([each.id for each in found], limit),
        )

    @post("", guards=_ADJUST, summary="Propose an adjustment")
    async def propose(
        self,
        data: JSONBody[AdjustmentRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        adjust_credits: NamedDependency[AdjustCredits],
        once: NamedDependency[OncePerKey],
    ) -> Response[AdjustmentView]:
        """Nothing is booked until another admin approves it, within a week."""
        return await once(
            lambda completion: adjust_credits.propose(
                NewAdjustment(
                    by=principal.user_id,
                    origin=origin,
                    user_id=UserId(data.user_id),
                    credits=data.credits,
                    reason=data.reason,
                    once=completion,
                )
            ),
            AdjustmentView.of,
        )

    @post(
        "/{adjustment_id:str}/approve",
        guards=_APPROVE,
        status_code=HTTP_200_OK,
        summary="Approve an adjustment",
    )
    async def approve(
        self,
        adjustment_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        adjust_credits: NamedDependency[AdjustCredits],
    ) -> AdjustmentView:
        """Book it. Not by who proposed it, nor by whom it is for."""
        return AdjustmentView.of(
            await adjust_credits.approve(
                principal.user_id, AdjustmentId(adjustment_id), origin=origin
            )
        )

    @post(
        "/{adjustment_id:str}/reject",
        guards=_ADJUST,
        status_code=HTTP_200_OK,
        summary="Reject an adjustment",
    )
    async def reject(
        self,
        adjustment_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        adjust_credits: NamedDependency[AdjustCredits],
    ) -> AdjustmentView:
        """Nothing is booked. Who proposed it may take it back so."""
        return AdjustmentView.of(
            await adjust_credits.reject(
                principal.user_id, AdjustmentId(adjustment_id), origin=origin
            )
        )
