"""An OpenID provider that does what a good one never does, over real HTTP.

In a test::

    with HostileProvider() as server:
        server.token = lambda claims: {**claims, "aud": "somebody-else"}
        ...  # a provider whose issuer is server.issuer

Unless told otherwise it behaves: discovery, one RSA key, and a token that answers the nonce
that the test has set.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

Json = dict[str, Any]

CLIENT = "client-of-the-tests"


@cache
def rsa_key(name: str, bits: int = 2048) -> RSAPrivateKey:
    """A key of that name, the same every time: making one is slow."""
    return generate_private_key(public_exponent=65537, key_size=bits)


def public_jwk(key: RSAPrivateKey, kid: str) -> Json:
    """The public half as a key set has it."""
    return {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is sent: after a while, and perhaps bit by bit."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    drip: float = 0.0


class HostileProvider:
    """A provider on loopback. What it says is what the test puts into its attributes."""

    def __init__(self) -> None:
        self.nonce = ""
        self.now = time.time
        self.kid = "k1"
        self.keys: list[Json] = [public_jwk(rsa_key("k1"), "k1")]
        self.signing: Any = rsa_key("k1")
        self.token: Callable[[Json], Json] = lambda claims: claims
        self.written: Callable[[Json], str] = self.signed
        self.configuration: Callable[[Json], Json] = lambda document: document
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.forms: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def times_asked(self, path: str) -> int:
        """How often a path was asked for."""
        return self.asked.count(path)

    def claims(self) -> Json:
        """What a good token says."""
        now = int(self.now())
        return {
            "iss": self.issuer,
            "aud": CLIENT,
            "azp": CLIENT,
            "sub": "subject-1",
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
            "email": "asha@example.com",
            "email_verified": True,
            "name": "Asha Rao",
        }

    def signed(self, claims: Json) -> str:
        """A token signed as it should be."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a key is short is the point
            return jwt.encode(claims, self.signing, algorithm="RS256", headers={"kid": self.kid})

    def unsigned(self, claims: Json) -> str:
        """A token whose header says that it needs no signature."""
        return f"{_part({'alg': 'none', 'kid': self.kid})}.{_part(claims)}."

    def signed_with_the_public_key(self, claims: Json) -> str:
        """HS256 with the published key's text as the secret: whoever can read can sign."""
        public = rsa_key("k1").public_key()
        secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        message = f"{_part({'alg': 'HS256', 'kid': self.kid})}.{_part(claims)}"
        tag = hmac.digest(secret, message.encode(), hashlib.sha256)
        return f"{message}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}"

    def answer(self, path: str) -> Answer:
        """What a path is answered with."""
        if path in self.answers:
            return self.answers[path]
        match path:
            case "/.well-known/openid-configuration":
                document = {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/keys",
                    "userinfo_endpoint": f"{self.issuer}/me",
                }
                return _json(self.configuration(document))
            case "/keys":
                return _json({"keys": self.keys})
            case "/token":
                token = self.written(self.token(self.claims()))
                return _json({"id_token": token, "access_token": secrets.token_hex(8)})
            case _:
                return Answer(body=b"", status=404)


def _json(document: Json) -> Answer:
    return Answer(body=json.dumps(document).encode())


def _part(document: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _handler(provider: HostileProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            provider.forms.append(self.rfile.read(length).decode())
            self._serve()

        def _serve(self) -> None:
            path = self.path.partition("?")[0]
            provider.asked.append(path)
            answer = provider.answer(path)
            if answer.wait:
                time.sleep(answer.wait)
            try:
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if answer.drip:
                    for byte in answer.body:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                        time.sleep(answer.drip)
                else:
                    self.wfile.write(answer.body)
            except OSError:
                self.close_connection = True  # the other side has had enough

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
