"""Plans for tests: what is sold, in the figures that the migration seeds or any other."""

from dataclasses import replace
from typing import Any

from domain.agents.artifacts import Mode
from domain.billing.plans import Plan
from domain.shared.ids import PlanId
from tests.contracts.samples import made_at, new_id


def make_plan(code: str = "pro", **changes: Any) -> Plan:
    """Pro, or what it is changed to."""
    id_ = new_id()
    plan = Plan(
        id=PlanId(id_),
        code=code,
        version=1,
        name=code.title(),
        description="",
        price_paise=149_900,
        credits=180_000,
        concurrent_runs=6,
        modes=frozenset(Mode),
        exports=frozenset({"md", "docx", "zip"}),
        retention_days=None,
        per_seat=False,
        min_seats=1,
        max_seats=1,
        trial_days=7,
        trial_credits=20_000,
        on_sale=True,
        created_at=made_at(id_),
    )
    return replace(plan, **changes)


def make_student(**changes: Any) -> Plan:
    """Cheaper than Pro."""
    return make_plan("student", **{"price_paise": 49_900, "credits": 60_000, **changes})


def make_team(**changes: Any) -> Plan:
    """Sold per seat."""
    return make_plan(
        "team",
        **{
            "price_paise": 129_900,
            "credits": 160_000,
            "per_seat": True,
            "min_seats": 1,
            "max_seats": 100,
            "trial_days": 0,
            "trial_credits": 0,
            **changes,
        },
    )
