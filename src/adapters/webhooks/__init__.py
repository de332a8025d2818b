"""The way out to webhook endpoints, whose addresses strangers choose.

One request over one connection of our own making: asyncio's streams and TLS, h11 for the
protocol. No client library, because each has ways around what must hold here: proxies from the
environment, redirects, connection pools by host name, a second look at the name server. The
host is resolved once, on threads that nothing else waits for; every address it has must be
permitted; and the one that was judged is connected to, with the host's name in the TLS
handshake and in ``Host``. Everything that is read is bounded, in bytes and in time.
"""

from adapters.webhooks.sender import SocketWebhookSender, resolve

__all__ = ["SocketWebhookSender", "resolve"]
