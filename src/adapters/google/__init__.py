"""Google as an OpenID provider (https://developers.google.com/identity/openid-connect)."""

from types import MappingProxyType

from adapters.openid import OpenIdProvider, OpenIdSettings
from application.ports.clock import Clock
from domain.identity.linked_identity import ProviderName

ISSUER = "https://accounts.google.com"


def google(
    *, client_id: str, client_secret: str, redirect_uri: str, clock: Clock, issuer: str = ISSUER
) -> OpenIdProvider:
    """Google, to the client that the operator registered with it for ``redirect_uri``."""
    return OpenIdProvider(
        OpenIdSettings(
            name=ProviderName.GOOGLE,
            issuer=issuer,
            client_id=client_id,
            client_secret=client_secret,
            redirect_uri=redirect_uri,
            algorithms=frozenset({"RS256"}),
            # Or whoever is signed in to one account could not choose another.
            parameters=MappingProxyType({"prompt": "select_account"}),
        ),
        clock,
    )
