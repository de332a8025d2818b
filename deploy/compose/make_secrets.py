"""Makes the secret files that ``compose.yaml`` mounts. Safe to repeat: what is there stays.

Compose mounts a secret's file as it is on the host, with its owner and mode, and the
services run as users of their own. So the files are readable by everybody (0444) inside a
folder that only its owner may enter (0700): on the host the folder protects them, in a
container only those are mounted that its service names.

Files made from others (addresses, servers' configurations) are written again at every
call, so that replacing one of the passwords and calling again brings them into line.
"""

import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from adapters.security import generate_box_key, generate_pepper, generate_signing_key

FOLDER = Path(__file__).parent / "secrets"

DATABASE = "bharatbuild"
_CERTIFICATE_LIFE = timedelta(days=3650)


def password() -> str:
    """192 random bits in hexadecimal: needs no quoting in an address or a configuration."""
    return secrets.token_hex(24)


def _access_key() -> str:
    return secrets.token_hex(10)


def _signing_key() -> str:
    return generate_signing_key()[1]


def _transport_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


CHOSEN: Mapping[str, Callable[[], str]] = {
    "postgres_superuser_password": password,
    "database_owner_password": password,
    "database_app_password": password,
    "database_dispatch_password": password,
    "redis_password": password,
    "s3_access_key": _access_key,
    "s3_secret_key": password,
    "s3_grpc.key": _transport_key,
    "jwt_signing_key": _signing_key,
    "api_key_peppers": generate_pepper,
    "secret_box_keys": generate_box_key,
    # Empty: artifacts are composed by rules. Put the provider's key into it to use Claude.
    "anthropic_api_key": lambda: "",
    # Empty: the mail server asks for none.
    "smtp_password": lambda: "",
    # Empty: nobody signs in with Google. It belongs to GOOGLE_CLIENT_ID.
    "google_client_secret": lambda: "",
    # Empty: nothing is sold. All three are Razorpay's.
    "razorpay_key_id": lambda: "",
    "razorpay_key_secret": lambda: "",
    "razorpay_webhook_secret": lambda: "",
}
"""What is chosen once, by file, and how."""


def derived(chosen: Mapping[str, str]) -> dict[str, str]:
    """What follows from what was chosen: addresses, and configurations that hold a secret."""

    def postgres(role: str, secret: str, database: str = DATABASE) -> str:
        return f"postgresql://{role}:{chosen[secret]}@postgres:5432/{database}"

    identity = {
        "name": "bharatbuild",
        "credentials": [
            {"accessKey": chosen["s3_access_key"], "secretKey": chosen["s3_secret_key"]}
        ],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return {
        "database_superuser_url": postgres("postgres", "postgres_superuser_password", "postgres"),
        "database_owner_url": postgres("bb_owner", "database_owner_password"),
        "database_url": postgres("bb_app", "database_app_password"),
        "database_dispatch_url": postgres("bb_dispatch", "database_dispatch_password"),
        "redis_url": f"redis://:{chosen['redis_password']}@redis:6379/0",
        "redis.conf": f"requirepass {chosen['redis_password']}\n",
        "s3_identities.json": json.dumps({"identities": [identity]}, indent=2) + "\n",
    }


def make(folder: Path) -> list[str]:
    """Fill ``folder``; returns the names of the files that were not there before."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    before = {path.name for path in folder.iterdir()}
    chosen = {}
    for name, choose in CHOSEN.items():
        path = folder / name
        chosen[name] = path.read_text().strip() if path.exists() else choose()
        if not path.exists():
            _write(path, chosen[name])
        path.chmod(0o444)
    for name, content in derived(chosen).items():
        _write(folder / name, content)
    certificate = folder / "s3_grpc.crt"
    if not certificate.exists():
        _write(certificate, _certificate(chosen["s3_grpc.key"]))
    return sorted({path.name for path in folder.iterdir()} - before)


def _write(path: Path, content: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o444)
    Path(file.name).replace(path)


def _certificate(key_pem: str) -> str:
    """One certificate that trusts itself alone, for the object store's talk with itself."""
    key = load_pem_private_key(key_pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SystemExit("s3_grpc.key is not an elliptic curve key; remove it and repeat.")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "s3")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _CERTIFICATE_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


if __name__ == "__main__":
    made = make(FOLDER)
    sys.stdout.write(f"{FOLDER}: {', '.join(made) if made else 'all was there'}\n")
