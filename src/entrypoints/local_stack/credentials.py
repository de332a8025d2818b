"""The stack's generated secrets and chosen ports, remembered so that addresses stay the same.

One file, ``stack.json``, readable by its owner only. A missing port is chosen anew; a missing
secret is an error, since the data behind it would be unreachable.
"""

import json
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from entrypoints.local_stack.errors import StateUnreadable
from entrypoints.local_stack.ports import choose_free_port

_VERSION = 1


@dataclass(frozen=True, slots=True)
class RolePasswords:
    """The passwords of the three database roles: printable ASCII."""

    owner: str = field(repr=False)
    app: str = field(repr=False)
    dispatch: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StackSecrets:
    """Everything secret in the stack, 192 random bits each (the access key, a name, has 80)."""

    postgres_superuser_password: str = field(repr=False)
    postgres_owner_password: str = field(repr=False)
    postgres_app_password: str = field(repr=False)
    postgres_dispatch_password: str = field(repr=False)
    valkey_password: str = field(repr=False)
    s3_access_key: str = field(repr=False)
    s3_secret_key: str = field(repr=False)
    # Internal to SeaweedFS: tokens for its volume server, its filer, and its unused console.
    seaweedfs_volume_key: str = field(repr=False)
    seaweedfs_volume_read_key: str = field(repr=False)
    seaweedfs_filer_key: str = field(repr=False)
    seaweedfs_filer_read_key: str = field(repr=False)
    seaweedfs_admin_password: str = field(repr=False)

    @property
    def roles(self) -> RolePasswords:
        """The part that :func:`~entrypoints.local_stack.roles.bootstrap_database` needs."""
        return RolePasswords(
            owner=self.postgres_owner_password,
            app=self.postgres_app_password,
            dispatch=self.postgres_dispatch_password,
        )


@dataclass(frozen=True, slots=True)
class StackPorts:
    """TCP ports on 127.0.0.1. SeaweedFS serves S3 on one; the others are its parts' own."""

    postgres: int
    valkey: int
    seaweedfs_s3: int
    seaweedfs_s3_grpc: int
    seaweedfs_master: int
    seaweedfs_master_grpc: int
    seaweedfs_volume: int
    seaweedfs_volume_grpc: int
    seaweedfs_filer: int
    seaweedfs_filer_grpc: int
    seaweedfs_admin: int
    seaweedfs_admin_grpc: int


@dataclass(frozen=True, slots=True)
class StackState:
    """What ``stack.json`` holds."""

    secrets: StackSecrets
    ports: StackPorts


def load_or_create(file: Path) -> StackState:
    """The remembered state; what is missing in a first start, or after an upgrade, is made.

    Raises:
        StateUnreadable: the file is damaged, lacks a secret, or is open to others.
    """
    if not file.exists():
        state = StackState(_new_secrets(), _ports({}))
        _write(file, state)
        return state
    state, complete = _read(file)
    if not complete:
        _write(file, state)
    return state


def write_private(file: Path, text: str) -> None:
    """Replace the file in one step; nobody but its owner ever can read it."""
    # mkstemp makes the file with mode 0600.
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as output:
            output.write(text)
            output.flush()
            os.fsync(output.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(file: Path) -> tuple[StackState, bool]:
    remedy = f"Restore {file}, or remove its folder to begin with an empty stack (data is lost)."
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StateUnreadable(f"{file} holds secrets, yet others may read it: chmod 600 {file}")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            raise ValueError(f"version {content['version']}")
        known = StackSecrets(**content["secrets"])
        remembered: dict[str, int] = content.get("ports", {})
        state = StackState(known, _ports(remembered))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateUnreadable(f"{file} cannot be used ({error!r}). {remedy}") from error
    return state, asdict(state.ports) == remembered


def _write(file: Path, state: StackState) -> None:
    content: dict[str, Any] = {"version": _VERSION, **asdict(state)}
    write_private(file, json.dumps(content, indent=2) + "\n")


def _new_secrets() -> StackSecrets:
    # Hexadecimal: needs no quoting in a URL, a configuration file or SQL.
    made = {name.name: secrets.token_hex(24) for name in fields(StackSecrets)}
    made["s3_access_key"] = secrets.token_hex(10)
    return StackSecrets(**made)


def _ports(remembered: Mapping[str, int]) -> StackPorts:
    chosen: dict[str, int] = {}
    for name in (port.name for port in fields(StackPorts)):
        known = remembered.get(name)
        chosen[name] = (
            int(known) if known else choose_free_port({*chosen.values(), *remembered.values()})
        )
    return StackPorts(**chosen)
