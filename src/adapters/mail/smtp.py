"""Mail over SMTP."""

from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Final, Literal

import aiosmtplib

from application.ports.clock import Clock
from application.ports.mail import MailRefused, MailUndelivered, Message

_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """A mail server, and as whom we speak to it. ``tls``: from the first byte, or after a word."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    sender: str


class SmtpMailSender:
    """The ``MailSender`` over one connection a message: mail is rare, and servers drop idle ones.

    With ``starttls`` a server that does not offer it gets nothing. What a server refuses for good
    (5xx to the recipient or the content) is refused; all else may pass later, a refused sign-in
    too, which is ours to mend.
    """

    def __init__(self, server: SmtpServer, clock: Clock) -> None:
        self._server = server
        self._clock = clock

    async def send(self, message: Message) -> None:
        """Send it.

        Raises:
            MailRefused: it will never be taken.
            MailUndelivered: it may be taken later; or it was, and the answer was lost.
        """
        server = self._server
        try:
            await aiosmtplib.send(
                self._composed(message),
                hostname=server.host,
                port=server.port,
                username=server.username or None,
                password=server.password or None,
                use_tls=server.tls == "tls",
                start_tls=server.tls == "starttls",
                timeout=_SECONDS,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [each.code for each in error.recipients]
            raise _of(min(codes, default=450), str(error)) from error
        except aiosmtplib.SMTPAuthenticationError as error:
            raise MailUndelivered(f"sign-in refused: {error.code}") from error
        except aiosmtplib.SMTPResponseException as error:
            raise _of(error.code, f"{error.code} {error.message}") from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailUndelivered(f"{type(error).__name__}: {error}") from error
        except ValueError as error:
            raise MailRefused(f"not an address that SMTP can say: {error}") from error

    def _composed(self, message: Message) -> EmailMessage:
        domain = parseaddr(self._server.sender)[1].rpartition("@")[2] or "localhost"
        composed = EmailMessage()
        composed["From"] = self._server.sender
        composed["To"] = message.to
        composed["Subject"] = message.subject
        composed["Date"] = format_datetime(self._clock.now())
        composed["Message-ID"] = f"<{message.id}@{domain}>"
        composed["Auto-Submitted"] = "auto-generated"
        composed.set_content(message.text)
        composed.add_alternative(message.html, subtype="html")
        return composed


def _of(code: int, said: str) -> MailRefused | MailUndelivered:
    permanent = 500 <= code < 600
    return MailRefused(said) if permanent else MailUndelivered(said)


class NoMailServer:
    """The ``MailSender`` of a production that names no server: what is due waits for one."""

    async def send(self, message: Message) -> None:
        """Refuse.

        Raises:
            MailUndelivered: always.
        """
        raise MailUndelivered("no mail server is set: SMTP_HOST")
