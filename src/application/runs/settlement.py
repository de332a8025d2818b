"""The end of a step's account, in the step's own commit, and what comes after it.

An account's lock is taken before the journal is read, by whoever settles a step and by
whoever records an answer that was given up for lost. So such an answer is either there when
its step is settled, and counted, or finds it settled, and is booked by itself.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from application.ports.model_calls import CUT_OFF, BorneBy, CallState, ModelCall
from application.ports.persistence import Transaction
from application.ports.usage import SettledStep
from domain.billing.ledger import AccountKind, HouseCost, Settlement
from domain.billing.usage import TokenUsage
from domain.projects.run import Run
from domain.shared.ids import AgentTaskId
from domain.shared.money import ExchangeRate

_MENDING = {"review": AccountKind.HOUSE_REVIEW, "repair": AccountKind.HOUSE_REPAIR}


async def settle_step(
    tx: Transaction,
    run: Run,
    step: str,
    task_id: AgentTaskId,
    rate: ExchangeRate,
    *,
    charged: bool,
) -> tuple["StepAccount", int]:
    """Charge what the step's calls cost, give back the rest of its hold; once, by key.

    The amount comes from the journal of calls, not from memory, so it is the same
    whichever worker commits. A call that is still open then is given up for lost: its
    answer would come after the account, and is the house's. The account of usage gets its row
    in the same commit, and the key the run was started with its own account. Returns the
    account and the credits charged. A test run is charged nothing, whatever it came to: its
    row says so.
    """
    await tx.ledger.lock()
    await tx.calls.give_up(run.id, step)
    calls = await tx.calls.of_step(run.id, step)
    charged = charged and not run.test
    account = account_of(calls, charged=charged)
    held = await tx.ledger.held(run.id, step)
    credits = await tx.ledger.settle(
        Settlement(
            user_id=run.user_id,
            key=f"step:{task_id}",
            run_id=run.id,
            step=step,
            used=rate.credits_for(account.user_nano_usd),
            house={kind: rate.credits_for(cost) for kind, cost in account.house.items()},
        )
    )
    if held and run.api_key_id is not None:
        await tx.keys.settle(run.id, held=held, used=credits)
    await tx.usage.record(
        SettledStep(
            user_id=run.user_id,
            project_id=run.project_id,
            run_id=run.id,
            step=step,
            mode=run.mode.value,
            model=account.model,
            charged=charged,
            usage=account.usage,
            credits=credits,
            cost_nano_usd=account.user_nano_usd,
            house_nano_usd=account.house_nano_usd,
            paise_per_usd=rate.paise_per_usd,
            api_key_id=run.api_key_id,
        )
    )
    return account, credits


async def record_calls(tx: Transaction, calls: Sequence[ModelCall], rate: ExchangeRate) -> None:
    """Journal what came of calls; book what comes after its step's account, once, by key.

    Before the settling of their steps where one transaction does both. The account's lock
    comes after the calls' rows: who settles waits for the rows of open calls alone, and who
    has one of those asks for no account.
    """
    late = [call for call in calls if await tx.calls.conclude(call)]
    if not late:
        return
    await tx.ledger.lock()
    for call in late:
        credits = rate.credits_for(call.cost_nano_usd)
        if credits and await tx.usage.settled(call.run_id, call.step):
            await tx.ledger.bear(
                HouseCost(
                    user_id=call.user_id,
                    key=f"late:{call.id}",
                    run_id=call.run_id,
                    step=call.step,
                    account=_reason(replace(call, borne_by=BorneBy.HOUSE)),
                    credits=credits,
                )
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAccount:
    """What a step's calls came to, by who bears them; the house's by its reason."""

    usage: TokenUsage
    model: str
    user_nano_usd: int
    house: Mapping[AccountKind, int]

    @property
    def house_nano_usd(self) -> int:
        """All that the house bears."""
        return sum(self.house.values())


def account_of(calls: Sequence[ModelCall], *, charged: bool) -> StepAccount:
    """Sum a step's journal. Of a step that failed by our fault nothing is charged.

    A failed call is the house's, except one that the person's own cancelling cut off.
    """
    usage, models, user = TokenUsage(), [], 0
    house: Counter[AccountKind] = Counter()
    for call in calls:
        if call.borne_by is BorneBy.USER and charged:
            user += call.cost_nano_usd
            usage += call.usage
        else:
            house[_reason(call)] += call.cost_nano_usd
        if call.model and call.model not in models:
            models.append(call.model)
    return StepAccount(usage=usage, model=", ".join(models), user_nano_usd=user, house=house)


def _reason(call: ModelCall) -> AccountKind:
    """Which of the house's accounts bears a call: why the person does not."""
    if call.purpose in _MENDING:
        return _MENDING[call.purpose]
    if call.borne_by is BorneBy.USER or (
        call.state is CallState.FAILED and call.failure != CUT_OFF
    ):
        return AccountKind.HOUSE_COST
    # Lost with its worker, answered after it was given up, or cut off by our own doing.
    return AccountKind.HOUSE_CRASH
