"""Passwords, access tokens and API keys' secrets.

Passwords: argon2id (RFC 9106) with its second recommended parameters, hashed in a small pool of
threads of our own. A semaphore around ``asyncio.to_thread`` would not do: when a caller is
cancelled the semaphore is freed while its thread still holds 64 MiB, so the bound on memory
would hold only for the patient. A stored hash that cannot be read raises instead of counting as
a wrong password: it means damaged data, which somebody must learn of.

Tokens: JWTs signed with Ed25519 and nothing else. The algorithm belongs to the key and is never
taken from a token's header (RFC 8725 §3.1), and the header's ``typ`` is ``at+jwt``, so that no
other kind of token of ours can pass for one (RFC 8725 §3.11, RFC 9068 §2.1; without RFC 9068's
``client_id``, because there are no OAuth clients here). Time is judged by the ``Clock`` port.
Keys are found by the thumbprint of their public half (RFC 7638), so a key's name cannot be
mistyped and a PEM file is all there is to deploy. To rotate, a key is added to the file that signs
from a later moment on (:func:`rotated`): everybody accepts it before anybody signs with it, and the
one before stays accepted until the last token that it signed has ended.

API keys: HMAC-SHA-256 under versioned peppers (:class:`PepperedKeySecrets`). To rotate the pepper:
add one with a higher version everywhere, and drop the old one once no key that was sealed with it
is in use; rotating a key seals it anew.

Second factor (:class:`OneTimeSecrets`): RFC 6238's codes by pyotp, their secrets drawn as QR codes
here, and recovery codes under the same peppers as keys. While a pepper is there, the recovery codes
that were made with it are good; a person makes new ones at any time.

Secrets that must be had back (those of webhooks and of authenticator apps): AES-256-GCM under
versioned keys (:class:`AesGcmSecretBox`). A key added with a higher version seals from then on;
the older ones stay for what they sealed.

The role in a token is what it was when the token was made. We do not go by it: the session that
the token names is looked up, and with it the role, as it is now.

Refresh tokens: 256 random bits, kept as SHA-256. What follows one is computed from it with a salt
under a pepper (:class:`PepperedRefreshTokens`), so that a lost reply can be given again though
nothing but hashes is kept.
"""

from adapters.security.breached import ListedPasswords
from adapters.security.key_secrets import PepperedKeySecrets, Peppers, generate_pepper
from adapters.security.keys import (
    KeyRing,
    ReloadedKeyRing,
    Rotation,
    UnusableKey,
    generate_signing_key,
    pem_blocks,
    rotated,
)
from adapters.security.passwords import Argon2PasswordHasher, UnreadablePasswordHash
from adapters.security.refresh_tokens import PepperedRefreshTokens
from adapters.security.second_factor import OneTimeSecrets
from adapters.security.secret_box import AesGcmSecretBox, BoxKeys, generate_box_key
from adapters.security.tokens import SignedAccessTokens

__all__ = [
    "AesGcmSecretBox",
    "Argon2PasswordHasher",
    "BoxKeys",
    "KeyRing",
    "ListedPasswords",
    "OneTimeSecrets",
    "PepperedKeySecrets",
    "PepperedRefreshTokens",
    "Peppers",
    "ReloadedKeyRing",
    "Rotation",
    "SignedAccessTokens",
    "UnreadablePasswordHash",
    "UnusableKey",
    "generate_box_key",
    "generate_pepper",
    "generate_signing_key",
    "pem_blocks",
    "rotated",
]
