"""The end of a step's account, in the step's own commit."""

from dataclasses import replace

from application.ports.persistence import BorneBy, CallState, Transaction
from application.runs.model_calls import StepAccount, account_of
from domain.billing.ledger import settle
from domain.projects.run import Run
from domain.shared.ids import AgentTaskId
from domain.shared.money import ExchangeRate


async def settle_step(
    tx: Transaction,
    run: Run,
    step: str,
    task_id: AgentTaskId,
    rate: ExchangeRate,
    *,
    charged: bool,
) -> tuple[StepAccount, int]:
    """Charge what the step's calls cost, give back the rest of its hold; once, by key.

    The amount comes from the journal of calls, not from memory, so it is the same
    whichever worker commits. A call that is still open then is given up for lost: its
    answer would come after the account, and is the house's. Returns the account and the
    credits charged. A test run is charged nothing, whatever it came to.
    """
    calls = await tx.calls.of_step(run.id, step)
    for call in calls:
        if call.state is CallState.INTENT:
            await tx.calls.conclude(replace(call, state=CallState.LOST, borne_by=BorneBy.HOUSE))
    account = account_of(calls, charged=charged and not run.test)
    held = await tx.ledger.held(run.id, step)
    used = rate.credits_for(account.user_nano_usd)
    house = rate.credits_for(account.house_nano_usd)
    entries = settle(
        run.user_id, run.id, step, held=held, used=used, house=house, key=f"step:{task_id}"
    )
    for entry in entries:
        await tx.ledger.book(entry)
    if held:
        await tx.ledger.close_hold(run.id, step)
        if run.api_key_id is not None:
            await tx.keys.settle(run.id, held=held, used=min(held, used))
    return account, min(held, used)
