"""Mail: letters rendered from templates, an SMTP client, and on a laptop a mailbox to look into.

A template says a letter once: its first line is the subject, each paragraph is one in text and in
HTML, and a line ``[what it says](address)`` is a link, in HTML a button. What stands in for data is
escaped for HTML after the text was rendered, so nothing that anybody wrote is ever markup.
"""

from adapters.mail.letters import TemplatedLetterWriter
from adapters.mail.mailbox import RedisMailbox
from adapters.mail.smtp import NoMailServer, SmtpMailSender, SmtpServer

__all__ = ["NoMailServer", "RedisMailbox", "SmtpMailSender", "SmtpServer", "TemplatedLetterWriter"]
