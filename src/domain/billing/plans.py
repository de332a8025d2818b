"""What is sold: plans, as versions that never change once they are written.

A change of a plan is a new version of it. A subscription keeps the version it bought until
its next period begins under another by its buyer's own wish.
"""

from dataclasses import dataclass
from datetime import datetime

from domain.agents.artifacts import Mode
from domain.billing.orders import LEAST_PAISE
from domain.shared.errors import Conflict, DomainError, InvalidValue
from domain.shared.ids import PlanId

FREE = "free"
"""The plan of whoever has no other. It is never bought and has no end."""

ARCHIVE = "zip"
EXPORTS = frozenset({"md", "docx", "pdf", "pptx", ARCHIVE})
"""What can be downloaded: a document's format, or the archive and the code in it."""

MAX_PRICE_PAISE = 100_000_000
MAX_CREDITS = 1_000_000_000
MAX_SEATS = 5_000
MAX_CONCURRENT_RUNS = 100
MAX_RETENTION_DAYS = 3_650
MAX_TRIAL_DAYS = 60


class PlanForbidsMode(DomainError):
    """The person's plan does not include the project's mode."""

    code = "plan_does_not_allow_mode"


class PlanForbidsExport(DomainError):
    """The person's plan does not include downloads of this format."""

    code = "plan_does_not_allow_export"


class PlanNotOnSale(Conflict):
    """The plan is Free, or is not sold any more."""

    code = "plan_not_on_sale"


class PlanChanged(Conflict):
    """Another version of the plan was written in the meantime."""

    code = "plan_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One version of a plan.

    ``price_paise`` (tax included) and ``credits`` are of one seat and one month;
    ``concurrent_runs`` is of one person. ``exports`` are of :data:`EXPORTS`.
    ``retention_days`` is how long a project is kept after it was last touched, or after the
    plan's end if that is later; None keeps it for good. ``trial_credits`` are of the trial.
    """

    id: PlanId
    code: str
    version: int
    name: str
    description: str
    price_paise: int
    credits: int
    concurrent_runs: int
    modes: frozenset[Mode]
    exports: frozenset[str]
    retention_days: int | None
    per_seat: bool
    min_seats: int
    max_seats: int
    trial_days: int
    trial_credits: int
    on_sale: bool
    created_at: datetime

    def paise(self, seats: int) -> int:
        """The price of so many seats for a month."""
        return self.price_paise * seats

    def check_seats(self, seats: int) -> None:
        """Hold a number of seats to what the plan is sold in.

        Raises:
            InvalidValue: too few or too many; the message says how many fit.
        """
        if self.min_seats <= seats <= self.max_seats:
            return
        fitting = (
            f"{self.min_seats} to {self.max_seats} seats" if self.per_seat else "exactly one seat"
        )
        raise InvalidValue("seats", f"The plan {self.name} is sold with {fitting}.")

    def check_sold(self) -> None:
        """Let only what is sold be bought.

        Raises:
            PlanNotOnSale: it is Free, or it is not sold any more.
        """
        if self.code == FREE:
            raise PlanNotOnSale(
                "Free is not bought: it is what remains when a subscription is cancelled.",
                plan=self.code,
            )
        if not self.on_sale:
            raise PlanNotOnSale(
                f"The plan {self.name} is not sold any more. Choose one of GET /api/v1/plans.",
                plan=self.code,
            )

    def check_mode(self, mode: Mode) -> None:
        """Let only the plan's modes run.

        Raises:
            PlanForbidsMode: the mode is not among them.
        """
        if mode not in self.modes:
            raise PlanForbidsMode(
                f"Your plan {self.name} does not include the mode {mode}. Choose one that does "
                "under GET /api/v1/plans, or create the project in another mode.",
                plan=self.code,
                mode=mode.value,
            )

    def check_export(self, export: str) -> None:
        """Let only the plan's formats be downloaded.

        Raises:
            PlanForbidsExport: the format is not among them.
        """
        if export not in self.exports:
            allowed = ", ".join(sorted(self.exports)) or "none"
            raise PlanForbidsExport(
                f"Your plan {self.name} includes downloads as {allowed}, not as {export}. "
                "Choose another format, or a plan that includes it under GET /api/v1/plans.",
                plan=self.code,
                export=export,
            )


def checked(plan: Plan) -> Plan:
    """The plan, if a version may be written as it stands.

    Raises:
        InvalidValue: a field is out of its bounds; the message says which they are.
    """
    if not (1 <= len(plan.code) <= 40 and plan.code.replace("-", "").isalnum()):
        raise InvalidValue("code", "Use 1 to 40 letters, digits and hyphens.")
    if plan.code != plan.code.lower():
        raise InvalidValue("code", "Use lower case.")
    if not 1 <= len(plan.name.strip()) <= 60:
        raise InvalidValue("name", "Give a name of 1 to 60 characters.")
    if len(plan.description) > 500:
        raise InvalidValue("description", "Use at most 500 characters.")
    for field, value, least, most in (
        ("price_paise", plan.price_paise, 0, MAX_PRICE_PAISE),
        ("credits", plan.credits, 0, MAX_CREDITS),
        ("trial_credits", plan.trial_credits, 0, MAX_CREDITS),
        ("trial_days", plan.trial_days, 0, MAX_TRIAL_DAYS),
        ("concurrent_runs", plan.concurrent_runs, 1, MAX_CONCURRENT_RUNS),
        ("min_seats", plan.min_seats, 1, MAX_SEATS),
        ("max_seats", plan.max_seats, plan.min_seats, MAX_SEATS),
    ):
        if not least <= value <= most:
            raise InvalidValue(field, f"Use {least} to {most}.")
    if plan.retention_days is not None and not 1 <= plan.retention_days <= MAX_RETENTION_DAYS:
        raise InvalidValue("retention_days", f"Use 1 to {MAX_RETENTION_DAYS}, or null for good.")
    if not plan.per_seat and plan.max_seats != 1:
        raise InvalidValue("max_seats", "A plan that is not sold per seat has exactly one.")
    if plan.trial_credits and not plan.trial_days:
        raise InvalidValue("trial_days", "A trial with credits needs at least one day.")
    if not plan.modes:
        raise InvalidValue("modes", "Include at least one mode.")
    strange = sorted(plan.exports - EXPORTS)
    if strange:
        raise InvalidValue(
            "exports", f"Not offered: {', '.join(strange)}; choose of {', '.join(sorted(EXPORTS))}."
        )
    if plan.code == FREE and (plan.price_paise or not plan.on_sale):
        raise InvalidValue("price_paise", "Free costs nothing and is always there.")
    if plan.code != FREE and plan.price_paise < LEAST_PAISE:
        raise InvalidValue("price_paise", f"Only Free costs nothing: use at least {LEAST_PAISE}.")
    return plan
