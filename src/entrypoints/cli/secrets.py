"""The secrets a platform is run with, and those it keeps: judged, and sealed anew."""

import asyncio
import os
import sys

import click
from rich.console import Console

from adapters.postgres.reseal import reseal as reseal_all
from adapters.security import AesGcmSecretBox, BoxKeys, UnusableKey
from entrypoints.cli.operators import operator, setting
from entrypoints.cli.platform import FOLDER
from entrypoints.secret_check import PROCESSES, Finding, examine
from entrypoints.settings import SettingsInvalid, read

console = Console()


@click.group()
def secrets() -> None:
    """Look after secrets: those in the settings, and those kept in the database."""


@secrets.command()
@click.option(
    "--for",
    "process",
    type=click.Choice(PROCESSES),
    default="http",
    show_default=True,
    help="The process whose settings these are; they need different ones.",
)
def check(process: str) -> None:
    """Judge the settings as production would. Exits 1 when it would not start."""
    found = examine(os.environ, process)
    for finding in found:
        _show(finding)
    refused = sum(finding.refuses for finding in found)
    if refused:
        console.print(f"Production would not start: {refused} to mend.", markup=False)
        sys.exit(1)
    console.print("Production would start with these.", markup=False)


@secrets.command()
def reseal() -> None:
    """Seal what the database keeps sealed anew, under the newest of SECRET_BOX_KEYS.

    Reads DATABASE_OWNER_URL and SECRET_BOX_KEYS, or this folder's. Every process must have been
    started with the newest key before. Safe to repeat, to interrupt, and to run while people
    work. Exits 1 when something is left under another key.
    """
    try:
        keys = BoxKeys.parse(_box_keys())
    except UnusableKey as error:
        raise SettingsInvalid(f"SECRET_BOX_KEYS: {error}") from error
    result = asyncio.run(
        reseal_all(setting("DATABASE_OWNER_URL"), AesGcmSecretBox(keys), keys.newest, operator())
    )
    for kind, count in result.anew.items():
        console.print(f"{count} {kind} sealed anew under key {keys.newest}.", highlight=False)
    left = {kind: count for kind, count in result.left.items() if count}
    for kind, count in left.items():
        console.print(
            f"{count} {kind} are under another key still: keep it, see that every process has "
            "the newest one, and repeat. What repeating leaves is under a key that is not here.",
            highlight=False,
            soft_wrap=True,
        )
    if left:
        sys.exit(1)
    console.print("Nothing needs an older key any more.", highlight=False)


def _show(finding: Finding) -> None:
    word = "refused" if finding.refuses else "warning"
    console.print(
        f"{word}  {finding.variable}: {finding.problem} {finding.remedy}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _box_keys() -> str:
    given = read(os.environ, "SECRET_BOX_KEYS")
    path = FOLDER / "secret-box-keys"
    if given is None and path.exists():
        given = path.read_text()
    return given or setting("SECRET_BOX_KEYS")
