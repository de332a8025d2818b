"""Plans, the person's subscription, its seats, and what operators see of everybody's."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from application.ports.idempotency import Completion
from application.ports.security import Principal
from application.subscriptions.manage_subscription import (
    Change,
    ManageSubscription,
    NewSubscription,
    Overview,
    PreviewChange,
    ShowSubscription,
    StartSubscription,
)
from application.subscriptions.oversee_subscriptions import OverseeSubscriptions
from application.subscriptions.plans import ListPlans, NewPlanVersion, WritePlanVersion
from application.subscriptions.seats import ManageSeats
from domain.audit.origin import Origin
from domain.billing.subscriptions.subscription import SubscriptionStatus
from domain.identity.user import Permission
from domain.shared.ids import SubscriptionId, UserId
from entrypoints.http.access import public, requires
from entrypoints.http.cursors import DEFAULT_LIMIT, cursor_after, page_from
from entrypoints.http.idempotency import OncePerKey
from entrypoints.http.plan_schemas import (
    ChangeRequest,
    EntitlementView,
    NoticePageView,
    NoticeView,
    OverseenSubscriptionPageView,
    OverseenSubscriptionView,
    PlanListView,
    PlanPageView,
    PlanRequest,
    PlanView,
    PreviewView,
    SeatListView,
    SeatRequest,
    SeatView,
    StartRequest,
    SubscriptionEvidenceView,
)
from entrypoints.http.routing import delete, get, post

Cursor = Annotated[str, QueryParameter(description="The next_cursor of the page before.")]
Limit = Annotated[int, QueryParameter(description="Items a page, 1 to 100.")]


@get("/plans", guards=[public], summary="List plans", tags=["Billing"])
async def plans(list_plans: NamedDependency[ListPlans]) -> PlanListView:
    """What is sold, in its newest version, cheapest first. No sign-in is needed."""
    return PlanListView([PlanView.of(plan) for plan in await list_plans()])


class SubscriptionController(Controller):
    """The person's subscription."""

    path = "/billing/subscription"
    tags = ("Billing",)

    @get("", guards=[requires(Permission.BILLING_READ)], summary="Show my subscription")
    async def show(
        self,
        principal: NamedDependency[Principal],
        show_subscription: NamedDependency[ShowSubscription],
    ) -> EntitlementView:
        """The plan that holds now, and the subscription: the present one, or the last."""
        return EntitlementView.of(await show_subscription(principal.user_id))

    @post("", guards=[requires(Permission.BILLING_BUY)], summary="Start a subscription")
    async def start(
        self,
        data: JSONBody[StartRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        start_subscription: NamedDependency[StartSubscription],
        once: NamedDependency[OncePerKey],
    ) -> Response[EntitlementView]:
        """It begins when ``charge.order_id`` is paid, within a day; a trial begins at once."""
        return await once(
            lambda completion: start_subscription(
                NewSubscription(
                    user_id=principal.user_id,
                    origin=origin,
                    plan=data.plan,
                    seats=data.seats,
                    trial=data.trial,
                    coupon=data.coupon,
                    once=completion,
                )
            ),
            EntitlementView.of,
        )

    @post(
        "/preview",
        guards=[requires(Permission.BILLING_READ)],
        status_code=HTTP_200_OK,
        summary="Preview a change",
    )
    async def preview_change(
        self,
        data: JSONBody[ChangeRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        preview_change: NamedDependency[PreviewChange],
    ) -> PreviewView:
        """What a change would come to, prorated to this moment. Nothing is changed."""
        return PreviewView.of(
            await preview_change(
                Change(user_id=principal.user_id, origin=origin, plan=data.plan, seats=data.seats)
            )
        )

    @post(
        "/change",
        guards=[requires(Permission.BILLING_BUY)],
        status_code=HTTP_200_OK,
        summary="Change plan or seats",
    )
    async def change(
        self,
        data: JSONBody[ChangeRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        manage_subscription: NamedDependency[ManageSubscription],
        once: NamedDependency[OncePerKey],
    ) -> Response[EntitlementView]:
        """A dearer one begins when its prorated order is paid, any other with the next period."""
        return await once(
            lambda completion: manage_subscription.change(
                Change(
                    user_id=principal.user_id,
                    origin=origin,
                    plan=data.plan,
                    seats=data.seats,
                    once=completion,
                )
            ),
            EntitlementView.of,
        )

    @post(
        "/cancel",
        guards=[requires(Permission.BILLING_BUY)],
        status_code=HTTP_200_OK,
        summary="Cancel at the period's end",
    )
    async def cancel_subscription(
        self,
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        manage_subscription: NamedDependency[ManageSubscription],
        once: NamedDependency[OncePerKey],
    ) -> Response[EntitlementView]:
        """It ends with what is paid; at once where nothing is."""
        return await _wish(once, principal, origin, manage_subscription.cancel)

    @post(
        "/pause",
        guards=[requires(Permission.BILLING_BUY)],
        status_code=HTTP_200_OK,
        summary="Pause from the period's end",
    )
    async def pause(
        self,
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        manage_subscription: NamedDependency[ManageSubscription],
        once: NamedDependency[OncePerKey],
    ) -> Response[EntitlementView]:
        """It rests from the next period on, for ninety days at most."""
        return await _wish(once, principal, origin, manage_subscription.pause)

    @post(
        "/resume",
        guards=[requires(Permission.BILLING_BUY)],
        status_code=HTTP_200_OK,
        summary="Resume",
    )
    async def resume(
        self,
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        manage_subscription: NamedDependency[ManageSubscription],
        once: NamedDependency[OncePerKey],
    ) -> Response[EntitlementView]:
        """Take back a wish to cancel or pause; after a pause, order a period that begins then."""
        return await _wish(once, principal, origin, manage_subscription.resume)

    @get("/history", guards=[requires(Permission.BILLING_READ)], summary="Show its history")
    async def history(
        self,
        principal: NamedDependency[Principal],
        show_subscription: NamedDependency[ShowSubscription],
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> NoticePageView:
        """What happened to the subscription, newest first."""
        found = await show_subscription.history(principal.user_id, page_from(cursor, limit))
        return NoticePageView(
            items=[NoticeView.of(notice) for notice in found[:limit]],
            next_cursor=cursor_after([notice.id for notice in found], limit),
        )


async def _wish(
    once: OncePerKey,
    principal: Principal,
    origin: Origin,
    wish: Callable[..., Awaitable[Overview]],
) -> Response[EntitlementView]:
    async def effect(completion: Completion[Overview] | None) -> Overview:
        return await wish(principal.user_id, origin=origin, once=completion)

    return await once(effect, EntitlementView.of)


class SeatController(Controller):
    """Whom a subscription's seats are given to."""

    path = "/billing/seats"
    tags = ("Billing",)

    @get("", guards=[requires(Permission.BILLING_READ)], summary="List seats")
    async def seats(
        self,
        principal: NamedDependency[Principal],
        manage_seats: NamedDependency[ManageSeats],
    ) -> SeatListView:
        """The seats that are given, by number, and how many are left."""
        subscription, given = await manage_seats.list(principal.user_id)
        return SeatListView(
            seats=subscription.seats,
            free=subscription.seats - len(given),
            items=[SeatView.of(seat) for seat in given],
        )

    @post("", guards=[requires(Permission.BILLING_BUY)], summary="Give a seat")
    async def assign(
        self,
        data: JSONBody[SeatRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        manage_seats: NamedDependency[ManageSeats],
        once: NamedDependency[OncePerKey],
    ) -> Response[SeatView]:
        """Give the lowest free seat to an email's owner, who may register later."""
        return await once(
            lambda completion: manage_seats.assign(
                principal.user_id, data.email, origin=origin, once=completion
            ),
            SeatView.of,
        )

    @delete("/{number:int}", guards=[requires(Permission.BILLING_BUY)], summary="Withdraw a seat")
    async def withdraw(
        self,
        number: FromPath[int],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        manage_seats: NamedDependency[ManageSeats],
    ) -> None:
        """Take a seat back. Credits that its holder was given stay until they lapse."""
        await manage_seats.withdraw(principal.user_id, number, origin=origin)


class AdminPlanController(Controller):
    """Plans, as an admin changes them."""

    path = "/admin/plans"
    tags = ("Operation",)

    @get("", guards=[requires(Permission.BILLING_OPERATE)], summary="List plans' versions")
    async def versions(
        self,
        list_plans: NamedDependency[ListPlans],
        code: FromQuery[str] = "",
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> PlanPageView:
        """Every version, on sale or not, newest first; of one plan if asked."""
        found = await list_plans.versions(page_from(cursor, limit), code)
        return PlanPageView(
            items=[PlanView.of(plan) for plan in found[:limit]],
            next_cursor=cursor_after([plan.id for plan in found], limit),
        )

    @post("", guards=[requires(Permission.BILLING_OPERATE)], summary="Write a plan's version")
    async def write_version(
        self,
        data: JSONBody[PlanRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        write_plan_version: NamedDependency[WritePlanVersion],
        once: NamedDependency[OncePerKey],
    ) -> Response[PlanView]:
        """Sold from now on. Who has bought an earlier version keeps that."""
        return await once(
            lambda completion: write_plan_version(
                NewPlanVersion(
                    by=principal.user_id,
                    origin=origin,
                    code=data.code,
                    name=data.name,
                    description=data.description,
                    price_paise=data.price_paise,
                    credits=data.credits,
                    concurrent_runs=data.concurrent_runs,
                    modes=frozenset(data.modes),
                    exports=frozenset(data.exports),
                    retention_days=data.retention_days,
                    per_seat=data.per_seat,
                    min_seats=data.min_seats,
                    max_seats=data.max_seats,
                    trial_days=data.trial_days,
                    trial_credits=data.trial_credits,
                    on_sale=data.on_sale,
                    once=completion,
                )
            ),
            PlanView.of,
        )


class AdminSubscriptionController(Controller):
    """Everybody's subscriptions."""

    path = "/admin/subscriptions"
    tags = ("Operation",)

    @get("", guards=[requires(Permission.BILLING_OPERATE)], summary="List subscriptions")
    async def subscriptions(
        self,
        oversee_subscriptions: NamedDependency[OverseeSubscriptions],
        status: FromQuery[SubscriptionStatus | None] = None,
        user_id: Annotated[UUID | None, QueryParameter(description="Of one person.")] = None,
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> OverseenSubscriptionPageView:
        """Newest first, of one state if asked, whoever they are of."""
        found = await oversee_subscriptions.page(
            status, page_from(cursor, limit), None if user_id is None else UserId(user_id)
        )
        return OverseenSubscriptionPageView(
            items=[OverseenSubscriptionView.of(sub) for sub in found[:limit]],
            next_cursor=cursor_after([sub.id for sub in found], limit),
        )

    @get(
        "/{subscription_id:str}",
        guards=[requires(Permission.BILLING_OPERATE)],
        summary="Show a subscription",
    )
    async def subscription(
        self,
        subscription_id: FromPath[UUID],
        oversee_subscriptions: NamedDependency[OverseeSubscriptions],
    ) -> SubscriptionEvidenceView:
        """The subscription and the end of its history."""
        found, history = await oversee_subscriptions.show(SubscriptionId(subscription_id))
        return SubscriptionEvidenceView(
            subscription=OverseenSubscriptionView.of(found),
            history=[NoticeView.of(notice) for notice in history],
        )
