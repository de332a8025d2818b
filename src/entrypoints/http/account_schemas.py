"""Accounts, as they go over the wire."""

import msgspec


class ResendRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Whose confirmation is to be sent again."""

    email: str


class ConfirmAddressRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a confirmation's link holds, and the password that was registered with."""

    token: str
    password: str


class ForgotPasswordRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Whose password is to be set anew."""

    email: str


class ResetPasswordRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What such a link holds, and the new password."""

    token: str
    password: str


class ChangePasswordRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The new password, and what proves who changes it: password and code, as far as there are."""

    new_password: str
    current_password: str = ""
    code: str = ""


class ChangeEmailRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The new address, and what proves who changes it."""

    email: str
    password: str = ""
    code: str = ""


class ConfirmEmailRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What the link in the mail to the new address holds."""

    token: str


class DeleteAccountRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What proves who deletes it."""

    password: str = ""
    code: str = ""


class AcceptedView(msgspec.Struct):
    """What happens now: the same words, whatever there is."""

    message: str
