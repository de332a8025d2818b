"""What operators do with the ledger: audit it. As the owner of the books, who no service is."""

import asyncio
import sys

import click
from rich.console import Console
from rich.table import Table

from adapters.postgres.audit import CHECKS, open_audit
from domain.shared.money import rupees
from entrypoints.cli.operators import setting

console = Console()


@click.group()
def ledger() -> None:
    """Look after the books. Reads DATABASE_OWNER_URL."""


@ledger.command()
def verify() -> None:
    """Sum the whole ledger up again, and tell every difference. Exits 1 when there is one."""
    found = asyncio.run(_verify(setting("DATABASE_OWNER_URL")))
    if found:
        console.print(f"[red]{found} differences.[/red] Nothing was changed.")
        sys.exit(1)
    console.print("The ledger is clean.")


async def _verify(owner_url: str) -> int:
    found = 0
    async with open_audit(owner_url) as audit:
        for check in CHECKS:
            rows = await audit.rows(check)
            wrong = 0
            async for each in audit.differences(check):
                wrong += 1
                console.print(
                    f"{check.name}: {each.place}: kept {each.kept}, summed {each.summed}",
                    markup=False,
                    highlight=False,
                    soft_wrap=True,
                )
            verdict = f"{wrong} differ" if wrong else "all"
            console.print(
                f"{check.name:<12} {rows:>10}  {verdict}: {check.holds}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
            found += wrong
        accounts = await audit.accounts()
    table = Table("account", "credits", "rupees", title="All accounts", title_justify="left")
    for name, credits in sorted(accounts.items()):
        table.add_row(name, str(credits), rupees(credits))
    total = sum(accounts.values())
    table.add_row("sum", str(total), rupees(total))
    console.print(table)
    return found
