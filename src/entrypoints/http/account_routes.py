"""Accounts: registering, passwords, addresses, leaving."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Controller, Request, Response
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from application.identity.change_email import AskToChangeEmail, ConfirmEmail
from application.identity.delete_account import DeleteAccount
from application.identity.export_account import ExportAccount, Records
from application.identity.passwords import AskForReset, ChangePassword, ResetPassword
from application.identity.reauthenticate import Proof
from application.identity.register_user import Registration
from application.identity.registering import AskForConfirmation, AskToRegister, ConfirmAddress
from application.ports.security import Principal
from domain.audit.origin import Origin
from entrypoints.http.access import COST, public, signed_in
from entrypoints.http.account_schemas import (
    AcceptedView,
    ChangeEmailRequest,
    ChangePasswordRequest,
    ConfirmAddressRequest,
    ConfirmEmailRequest,
    DeleteAccountRequest,
    ForgotPasswordRequest,
    ResendRequest,
    ResetPasswordRequest,
)
from entrypoints.http.attachments import attachment
from entrypoints.http.refresh_cookie import cookie_gone
from entrypoints.http.routing import get, post
from entrypoints.http.schemas import RegisterRequest, UserView
from entrypoints.http.session_schemas import EndedView

_LOOK = AcceptedView("If that is possible, a mail is on its way. Look into your mailbox.")
_NDJSON = "application/x-ndjson"


class AccountController(Controller):
    """Accounts."""

    path = "/auth"
    tags = ("Identity",)

    @post(
        "/register",
        guards=[public],
        opt={COST: 3},
        status_code=HTTP_202_ACCEPTED,
        summary="Register",
    )
    async def register(
        self,
        data: JSONBody[RegisterRequest],
        origin: NamedDependency[Origin],
        ask_to_register: NamedDependency[AskToRegister],
    ) -> AcceptedView:
        """Have a confirmation sent to the address, which then opens the account.

        The answer is the same whether the address has an account or not.
        """
        await ask_to_register(
            Registration(email=data.email, password=data.password, name=data.name, origin=origin)
        )
        return _LOOK

    @post(
        "/register/resend",
        guards=[public],
        opt={COST: 3},
        status_code=HTTP_202_ACCEPTED,
        summary="Send a confirmation again",
    )
    async def resend(
        self,
        data: JSONBody[ResendRequest],
        origin: NamedDependency[Origin],
        ask_for_confirmation: NamedDependency[AskForConfirmation],
    ) -> AcceptedView:
        """Have it sent again, if a registration waits for it. The older link ends."""
        await ask_for_confirmation(data.email, origin)
        return _LOOK

    @post("/register/confirm", guards=[public], opt={COST: 3}, summary="Confirm an address")
    async def confirm_own_address(
        self,
        data: JSONBody[ConfirmAddressRequest],
        origin: NamedDependency[Origin],
        confirm_address: NamedDependency[ConfirmAddress],
    ) -> UserView:
        """Open the account that the link is for, with its starting credits."""
        return UserView.of(await confirm_address(data.token, data.password, origin))

    @post(
        "/password/forgot",
        guards=[public],
        opt={COST: 3},
        status_code=HTTP_202_ACCEPTED,
        summary="Ask for a new password",
    )
    async def forgot(
        self,
        data: JSONBody[ForgotPasswordRequest],
        origin: NamedDependency[Origin],
        ask_for_reset: NamedDependency[AskForReset],
    ) -> AcceptedView:
        """Have a link sent that sets another password, if the address has an account."""
        await ask_for_reset(data.email, origin)
        return _LOOK

    @post(
        "/password/reset",
        guards=[public],
        opt={COST: 3},
        status_code=HTTP_200_OK,
        summary="Set a new password",
    )
    async def reset_own_password(
        self,
        data: JSONBody[ResetPasswordRequest],
        origin: NamedDependency[Origin],
        reset_password: NamedDependency[ResetPassword],
    ) -> AcceptedView:
        """Set it with the link from the mail. Every session ends."""
        await reset_password(data.token, data.password, origin)
        return AcceptedView("The password is set. Sign in with it.")

    @post(
        "/password/change",
        guards=[signed_in],
        opt={COST: 3},
        status_code=HTTP_200_OK,
        summary="Change the password",
    )
    async def change_own_password(
        self,
        data: JSONBody[ChangePasswordRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        change_password: NamedDependency[ChangePassword],
    ) -> EndedView:
        """Replace it, knowing it. Every other session ends; refresh this one."""
        ended = await change_password(
            principal,
            Proof(password=data.current_password, code=data.code),
            data.new_password,
            origin,
        )
        return EndedView(ended)

    @post(
        "/email/change",
        guards=[signed_in],
        opt={COST: 3},
        status_code=HTTP_202_ACCEPTED,
        summary="Change the address",
    )
    async def change_address(
        self,
        data: JSONBody[ChangeEmailRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        ask_to_change_email: NamedDependency[AskToChangeEmail],
    ) -> AcceptedView:
        """Have a link sent to the new address, which then takes the old one's place."""
        await ask_to_change_email(
            principal, Proof(password=data.password, code=data.code), data.email, origin
        )
        return _LOOK

    @post(
        "/email/confirm",
        guards=[public],
        opt={COST: 3},
        status_code=HTTP_200_OK,
        summary="Confirm the new address",
    )
    async def confirm_new(
        self,
        data: JSONBody[ConfirmEmailRequest],
        origin: NamedDependency[Origin],
        confirm_email: NamedDependency[ConfirmEmail],
    ) -> AcceptedView:
        """Change the address with the link from the mail to it. Every session ends."""
        await confirm_email(data.token, origin)
        return AcceptedView("The address is changed. Sign in with it.")

    @post(
        "/account/delete",
        guards=[signed_in],
        opt={COST: 3},
        status_code=HTTP_200_OK,
        summary="Delete the account",
    )
    async def delete_own(
        self,
        data: JSONBody[DeleteAccountRequest],
        request: Request[Any, Any, Any],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        delete_account: NamedDependency[DeleteAccount],
    ) -> Response[AcceptedView]:
        """Delete what is personal, at once and for good. Invoices stay, as the law has it."""
        await delete_account(principal, Proof(password=data.password, code=data.code), origin)
        return Response(AcceptedView("The account is deleted."), cookies=[cookie_gone(request)])

    @get(
        "/account/export",
        guards=[signed_in],
        opt={COST: 20},
        media_type=_NDJSON,
        summary="Export the account",
    )
    async def export(
        self,
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        export_account: NamedDependency[ExportAccount],
    ) -> Stream:
        """All that is kept of the signed-in person, a JSON object a line; streamed."""
        batches = await export_account(principal.user_id, origin)
        return Stream(
            _lines(batches), media_type=_NDJSON, headers=attachment("bharatbuild-account.ndjson")
        )


async def _lines(batches: AsyncIterator[Records]) -> AsyncIterator[bytes]:
    async for batch in batches:
        yield b"".join(
            msgspec.json.encode({"record": of, **values}) + b"\n" for of, values in batch
        )
