"""The second factor: signing in with it, setting it up, replacing and removing it."""

from typing import Any

from litestar import Controller, Request, Response
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT

from application.identity.manage_second_factor import (
    ConfirmSecondFactor,
    ProposeSecondFactor,
    ProveAgain,
    RemoveSecondFactor,
    ReplaceRecoveryCodes,
    ShowSecondFactor,
    StepUp,
)
from application.identity.meet_challenge import MeetChallenge
from application.ports.security import Principal
from domain.audit.origin import Origin
from entrypoints.http.access import COST, OF_OUR_PAGES, device_of, public, signed_in
from entrypoints.http.refresh_cookie import check_origin
from entrypoints.http.routing import get, post
from entrypoints.http.second_factor_schemas import (
    CodeRequest,
    MeetChallengeRequest,
    ProofRequest,
    ProposedFactorView,
    RecoveryCodesView,
    SecondFactorView,
)
from entrypoints.http.session_routes import tokens_of
from entrypoints.http.session_schemas import TokenView
from entrypoints.http.sign_in_cookies import CHALLENGE


class SecondFactorController(Controller):
    """The second factor."""

    path = "/auth"
    tags = ("Identity",)

    @post(
        "/login/second-factor",
        guards=[public],
        opt={COST: 3, OF_OUR_PAGES: True},
        status_code=HTTP_200_OK,
        summary="Finish signing in",
    )
    async def meet_challenge(
        self,
        data: JSONBody[MeetChallengeRequest],
        request: Request[Any, Any, Any],
        origin: NamedDependency[Origin],
        meet_challenge: NamedDependency[MeetChallenge],
    ) -> Response[TokenView]:
        """Open the session that waits for a second factor.

        ``code`` is an authenticator app's, or a recovery code. A challenge may be tried five
        times within five minutes.
        """
        check_origin(request)
        token = data.challenge
        if token is None:
            token = CHALLENGE.value_of_our_page(request)
        opened = await meet_challenge(token, data.code, device_of(request), origin)
        answer = tokens_of(request, opened, in_body=data.refresh_in == "body")
        answer.set_cookie(CHALLENGE.gone(request))
        return answer

    @get("/second-factor", guards=[signed_in], summary="Show the second factor")
    async def second_factor(
        self,
        principal: NamedDependency[Principal],
        show_second_factor: NamedDependency[ShowSecondFactor],
    ) -> SecondFactorView:
        """Whether there is one, and how many recovery codes are left."""
        return SecondFactorView.of(await show_second_factor(principal))

    @post(
        "/second-factor",
        guards=[signed_in],
        opt={COST: 3},
        status_code=HTTP_200_OK,
        summary="Set up a second factor",
    )
    async def propose_factor(
        self,
        data: JSONBody[ProofRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        propose_second_factor: NamedDependency[ProposeSecondFactor],
    ) -> ProposedFactorView:
        """Give a secret for an authenticator app, in place of the present one if there is one.

        Nothing changes until a code of it is confirmed.
        """
        return ProposedFactorView.of(await propose_second_factor(principal, data.proof(), origin))

    @post(
        "/second-factor/confirm",
        guards=[signed_in],
        opt={COST: 3},
        status_code=HTTP_200_OK,
        summary="Confirm a second factor",
    )
    async def confirm_factor(
        self,
        data: JSONBody[CodeRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        confirm_second_factor: NamedDependency[ConfirmSecondFactor],
    ) -> RecoveryCodesView:
        """Enable what was set up by a code of it, and get ten recovery codes.

        Every other session ends; refresh this one.
        """
        return RecoveryCodesView(await confirm_second_factor(principal, data.code, origin))

    @post(
        "/second-factor/recovery-codes",
        guards=[signed_in],
        opt={COST: 3},
        status_code=HTTP_200_OK,
        summary="Replace the recovery codes",
    )
    async def replace_codes(
        self,
        data: JSONBody[ProofRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        replace_recovery_codes: NamedDependency[ReplaceRecoveryCodes],
    ) -> RecoveryCodesView:
        """Get ten new recovery codes. Those from before are good no more."""
        return RecoveryCodesView(await replace_recovery_codes(principal, data.proof(), origin))

    @post(
        "/second-factor/remove",
        guards=[signed_in],
        opt={COST: 3},
        status_code=HTTP_204_NO_CONTENT,
        summary="Remove the second factor",
    )
    async def remove_factor(
        self,
        data: JSONBody[ProofRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        remove_second_factor: NamedDependency[RemoveSecondFactor],
    ) -> None:
        """Remove it with its recovery codes, where the role may be without.

        Every other session ends; refresh this one.
        """
        await remove_second_factor(principal, data.proof(), origin)

    @post(
        "/second-factor/step-up",
        guards=[signed_in],
        opt={COST: 3},
        status_code=HTTP_204_NO_CONTENT,
        summary="Prove the second factor",
    )
    async def step_up(
        self,
        data: JSONBody[CodeRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        step_up: NamedDependency[StepUp],
    ) -> None:
        """Have this session count as one with a second factor, proved just now.

        ``code`` is an authenticator app's, or a recovery code.
        """
        await step_up(principal, data.code, origin)

    @post(
        "/prove",
        guards=[signed_in],
        opt={COST: 3},
        status_code=HTTP_204_NO_CONTENT,
        summary="Prove who you are",
    )
    async def prove(
        self,
        data: JSONBody[ProofRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        prove_again: NamedDependency[ProveAgain],
    ) -> None:
        """Have this session count as proved just now, by all that the account has.

        What an administrator decides about others asks for that within ten minutes.
        """
        await prove_again(principal, data.proof(), origin)
