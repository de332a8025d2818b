"""Which passwords may be chosen."""

from dataclasses import dataclass

from application.ports.mail import BreachedPasswords
from domain.identity.user import check_password
from domain.shared.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """Length, and none that everybody tries; no composition rules (NIST SP 800-63B-4 §3.1.1.2)."""

    breached: BreachedPasswords

    def __call__(self, password: str, email: str, *, field: str = "password") -> None:
        """Hold a new password for the account of that address to it.

        Raises:
            InvalidValue: too short, too long, known from leaks, or around the address.
        """
        try:
            check_password(password)
        except InvalidValue as error:
            raise InvalidValue(field, error.message) from error
        local = email.partition("@")[0].lower()
        folded = password.lower()
        if email.lower() in folded or (len(local) >= 4 and local in folded):
            raise InvalidValue(field, "Leave your email address out of your password.")
        if self.breached.knows(password) or self.breached.knows(folded):
            raise InvalidValue(field, "This password is known from leaks. Choose another one.")
