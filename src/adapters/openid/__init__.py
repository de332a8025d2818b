"""OpenID Connect's code flow, as a relying party (OpenID Connect Core 1.0, §3.1).

A provider is one file that says who it is, as ``adapters.google`` does. What is held to:
PKCE with S256, a nonce, the exact issuer, ourselves as the only audience, a signature by an
asymmetric key that the provider publishes, and bounds on the time and size of every answer.
No token of the provider's is kept, or asked for beyond the one that says who signed in.
"""

from adapters.openid.provider import OpenIdProvider, OpenIdSettings

__all__ = ["OpenIdProvider", "OpenIdSettings"]
