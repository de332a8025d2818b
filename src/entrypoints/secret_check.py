"""Whether production may start with these settings: what is missing, known, weak or exposed.

``bharatbuild secrets check`` lists the findings; in production a process refuses to start on
those that refuse. No finding tells a secret, nor a part of one.
"""

import ipaddress
import math
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from adapters.security import BoxKeys, KeyRing, Peppers, UnusableKey
from entrypoints.errors import OperatorError
from entrypoints.settings import SettingsInvalid, load, read

PROCESSES = ("http", "worker", "dispatcher")

SHORTEST = 16
"""Characters of a password that we choose."""

LEAST_BITS = 48.0
"""Of a password, as :func:`guessing_bits` counts them: 16 random hexadecimal digits have about
52, and whoever guesses here asks a server each time."""

LEAST_KEY_BITS = 100.0
"""Of a pepper or a box key: 32 random bytes have about 155, and are guessed offline."""

MOUNTED = Path("/run/secrets")
"""Where containers get the secrets that their service names. Nobody else is in there, so the
mode of a file says nothing (compose mounts it as it is on the host)."""

_WELL_KNOWN = frozenset(
    {"admin", "administrator", "bharatbuild", "default", "guest", "minio", "minio123"}
    | {"minioadmin", "passw0rd", "password", "password123", "postgres", "postgresql"}
    | {"redis", "root", "s3cr3t", "secret", "test", "user", "valkey"}
)
_PLACEHOLDERS = ("example", "changeme", "change-me", "change_me", "placeholder", "replaceme")
"""No random value has one of these in it; those of documents and templates do."""

_GENERATE = "Make one: python3 -c 'import secrets; print(secrets.token_hex(24))'."
_GENERATE_KEY = "Make one: python3 -c 'import secrets; print(\"1:\" + secrets.token_hex(32))'."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with a variable, what to do about it, and whether production refuses it."""

    variable: str
    problem: str
    remedy: str
    refuses: bool = True


class SecretsUnsafe(OperatorError):
    """Production does not start with these settings; the message lists what to mend."""


def refuse_unsafe(environment: Mapping[str, str], process: str) -> Sequence[Finding]:
    """The warnings, once nothing refuses.

    Raises:
        SecretsUnsafe: production may not start with these.
    """
    found = examine(environment, process)
    refused = [each for each in found if each.refuses]
    if refused:
        lines = [f"  {each.variable}: {each.problem} {each.remedy}" for each in refused]
        raise SecretsUnsafe("\n".join(["Production does not start with these settings:", *lines]))
    return found


def examine(environment: Mapping[str, str], process: str) -> Sequence[Finding]:
    """Everything that is to be said of the settings of one of :data:`PROCESSES`, in production."""
    values: dict[str, str] = {}
    found: list[Finding] = []
    for variable in _READ:
        try:
            values[variable] = read(environment, variable) or ""
        except SettingsInvalid as error:
            values[variable] = _UNREADABLE
            found.append(Finding(variable=variable, problem=str(error), remedy="Mend that."))
    found += _missing(values, process)
    for variable, value in values.items():
        if value and value != _UNREADABLE:
            found += _JUDGES[variable](variable, value)
    found += _exposed(environment)
    if not any(each.refuses for each in found):
        try:
            load({**environment, "ENVIRONMENT": "production"})
        except SettingsInvalid as error:
            found.append(Finding(variable="Settings", problem=str(error), remedy="Mend that."))
    return found


def guessing_bits(value: Sequence[int]) -> float:
    """A generous estimate of how many bits a guesser lacks.

    Shannon's entropy of the symbols, or of the steps between neighbours if that is less (which
    sees ``abcdef`` and ``123456``), times the length of what is not mere repetition. It tells
    what cannot be random; it does not prove that anything is.
    """
    unit = _period(value)
    steps = [after - before for before, after in pairwise(unit)]
    return min(_entropy(unit) * len(unit), _entropy(steps) * len(unit))


def _missing(values: Mapping[str, str], process: str) -> Iterator[Finding]:
    needed = ["DATABASE_URL", "DATABASE_DISPATCH_URL", "REDIS_URL", "S3_ENDPOINT"]
    needed += ["S3_ACCESS_KEY", "S3_SECRET_KEY", "SECRET_BOX_KEYS"]
    if process == "http":
        needed += ["JWT_SIGNING_KEY", "API_KEY_PEPPERS"]
    for variable in needed:
        if not values[variable]:
            yield Finding(
                variable=variable,
                problem="It is not set.",
                remedy=f"Set it, or {variable}_FILE to the file that holds it.",
            )


def _database(variable: str, value: str) -> Iterator[Finding]:
    parts = urlsplit(value)
    password = unquote(parts.password or "")
    if not password and parts.hostname:
        yield Finding(
            variable=variable,
            problem="There is no password in it.",
            remedy="Give the role one and put it in.",
        )
    elif password:
        yield from _chosen(variable, password)


def _redis(variable: str, value: str) -> Iterator[Finding]:
    parts = urlsplit(value)
    password = unquote(parts.password or "")
    if password:
        yield from _chosen(variable, password)
    elif not _is_inside(parts.hostname):
        yield Finding(
            variable=variable,
            problem="It has no password, and is on no private network as far as can be told.",
            remedy="Give the server one (requirepass), or move it inside.",
            refuses=False,
        )


def _endpoint(variable: str, value: str) -> Iterator[Finding]:
    parts = urlsplit(value)
    if parts.scheme == "http" and not _is_inside(parts.hostname):
        yield Finding(
            variable=variable,
            problem="Plain HTTP, to no private network as far as can be told.",
            remedy="Use https://.",
            refuses=False,
        )


def _given(variable: str, value: str) -> Iterator[Finding]:
    """A value that somebody else chose: not theirs for everybody."""
    if _is_known(value):
        yield Finding(
            variable=variable,
            problem="It is a well-known default, or an example's.",
            remedy="Replace it by your own.",
        )


def _chosen(variable: str, value: str) -> Iterator[Finding]:
    """A password that the operator chose."""
    known = list(_given(variable, value))
    if known:
        yield from known
    elif len(value) < SHORTEST:
        yield Finding(
            variable=variable,
            problem=f"The password or key in it has fewer than {SHORTEST} characters.",
            remedy=_GENERATE,
        )
    elif guessing_bits(value.encode()) < LEAST_BITS:
        yield Finding(
            variable=variable,
            problem="The password or key in it can be guessed: it repeats or counts.",
            remedy=_GENERATE,
        )


def _keys(parse: Callable[[str], BoxKeys | Peppers]) -> Callable[[str, str], Iterator[Finding]]:
    def judge(variable: str, value: str) -> Iterator[Finding]:
        try:
            keys = parse(value)
        except UnusableKey as error:
            yield Finding(variable=variable, problem=str(error), remedy=_GENERATE_KEY)
            return
        for version, key in keys.by_version.items():
            if guessing_bits(key) < LEAST_KEY_BITS:
                yield Finding(
                    variable=variable,
                    problem=f"Version {version} is not random: it repeats or counts.",
                    remedy=_GENERATE_KEY,
                )

    return judge


def _signing(variable: str, value: str) -> Iterator[Finding]:
    try:
        KeyRing.from_pem(value)
    except UnusableKey as error:
        yield Finding(
            variable=variable,
            problem=str(error),
            remedy="Make one: openssl genpkey -algorithm ed25519.",
        )


def _on(problem: str, remedy: str) -> Callable[[str, str], Iterator[Finding]]:
    def judge(variable: str, value: str) -> Iterator[Finding]:
        if value.lower() not in ("0", "false"):
            yield Finding(variable=variable, problem=problem, remedy=remedy)

    return judge


def _gateway(variable: str, value: str) -> Iterator[Finding]:
    if value == "simulated":
        yield Finding(
            variable=variable,
            problem="The simulated gateway takes no money.",
            remedy="Set razorpay, or nothing to sell nothing.",
        )


_JUDGES: Mapping[str, Callable[[str, str], Iterator[Finding]]] = {
    "DATABASE_URL": _database,
    "DATABASE_DISPATCH_URL": _database,
    "REDIS_URL": _redis,
    "S3_ENDPOINT": _endpoint,
    "S3_ACCESS_KEY": _given,
    "S3_SECRET_KEY": _chosen,
    "JWT_SIGNING_KEY": _signing,
    "API_KEY_PEPPERS": _keys(Peppers.parse),
    "SECRET_BOX_KEYS": _keys(BoxKeys.parse),
    "RAZORPAY_KEY_SECRET": _given,
    "RAZORPAY_WEBHOOK_SECRET": _chosen,
    "GOOGLE_CLIENT_SECRET": _given,
    "SMTP_PASSWORD": _given,
    "ANTHROPIC_API_KEY": _given,
    "PAYMENT_GATEWAY": _gateway,
    "BHARATBUILD_FAILPOINT": _on("It kills the process: it is for tests alone.", "Unset it."),
    "WEBHOOK_PRIVATE_ADDRESSES": _on(
        "It opens the inside of the network to whoever names it.", "Unset it."
    ),
    "OPEN_REGISTRATION": _on("It takes every address as its owner's.", "Unset it."),
}
_READ = tuple(_JUDGES)
_UNREADABLE = "\0"
"""Stands for a value that could not be read: not missing, and not to be judged."""


def _exposed(environment: Mapping[str, str]) -> Iterator[Finding]:
    for variable in _READ:
        named = environment.get(f"{variable}_FILE")
        if not named:
            continue
        path = Path(named).absolute()
        if MOUNTED in path.parents:
            continue
        try:
            open_to_all = _is_open(path)
        except OSError:
            continue  # that it cannot be read is a finding already
        if open_to_all:
            yield Finding(
                variable=f"{variable}_FILE",
                problem="Other users of this machine can read or change the file.",
                remedy="Take that from them: chmod o= FILE, or chmod 0700 its folder.",
            )


def _is_open(path: Path) -> bool:
    """Whether others have rights on the file, and a way through every folder above it."""
    resolved = path.resolve()
    if not resolved.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        return False
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in resolved.parents)


def _is_known(value: str) -> bool:
    plain = value.strip().lower()
    return plain in _WELL_KNOWN or any(each in plain for each in _PLACEHOLDERS)


def _is_inside(host: str | None) -> bool:
    """Whether a host is this machine or on a private network, as far as its name tells."""
    if not host:
        return True  # a socket
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".internal", ".local", ".localhost"))
    return address.is_private or address.is_loopback


def _period(value: Sequence[int]) -> Sequence[int]:
    """The shortest beginning that, repeated, is the whole."""
    for length in range(1, len(value) // 2 + 1):
        if all(value[i] == value[i - length] for i in range(length, len(value))):
            return value[:length]
    return value


def _entropy(symbols: Sequence[int]) -> float:
    """Bits a symbol, by how often each occurs."""
    total = len(symbols)
    return -sum(n / total * math.log2(n / total) for n in Counter(symbols).values())
