"""Who sells and who buys, as an invoice names them (CGST Rules 2017, rule 46(a), (d) to (f))."""

from dataclasses import dataclass
from datetime import datetime

from domain.billing.gst import INDIA, STATES
from domain.shared.countries import COUNTRIES
from domain.shared.errors import InvalidValue
from domain.shared.ids import UserId

MAX_NAME_LENGTH = 200
MAX_ADDRESS_LENGTH = 500
MAX_ADDRESS_LINES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplier:
    """Who sells. Without a GSTIN nobody may collect tax, unless it is only a sample.

    ``undertaking`` is the reference of the letter of undertaking for exports, or empty.
    """

    name: str
    address: str
    state: str
    gstin: str = ""
    undertaking: str = ""
    sample: bool = False

    @property
    def registered(self) -> bool:
        """Whether its documents show tax."""
        return bool(self.gstin) or self.sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """Who buys. ``state`` is a GST code, or empty outside India or where it is not known."""

    name: str
    address: str = ""
    state: str = ""
    country: str = INDIA
    gstin: str = ""

    @property
    def business(self) -> bool:
        """Whether the buyer is registered, and may claim the tax back."""
        return bool(self.gstin)


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingProfile:
    """How a person wants to be named on invoices from now on."""

    user_id: UserId
    buyer: Buyer
    updated_at: datetime


def checked_buyer(*, name: str, address: str, state: str, country: str, gstin: str) -> Buyer:
    """A buyer whose particulars fit together. ``gstin`` is valid already, or empty.

    The state of a registered buyer is that of the GSTIN, and may be left out.

    Raises:
        InvalidValue: a value does not fit; the message says what would.
    """
    country = country.strip().upper()
    if country not in COUNTRIES:
        raise InvalidValue("country", "Use the two letters of ISO 3166, e.g. IN.")
    address = clean_address("address", address)
    state = state.strip()
    if country != INDIA:
        if gstin:
            raise InvalidValue("gstin", "A GSTIN is Indian: leave it out, or make the country IN.")
        if state:
            raise InvalidValue(
                "state", "Outside India leave the state out, and write it in the address."
            )
    else:
        state = _indian_state(state, gstin)
    if gstin and not address:
        raise InvalidValue("address", "With a GSTIN, give the address it is registered at.")
    return Buyer(
        name=clean_party_name("name", name),
        address=address,
        state=state,
        country=country,
        gstin=gstin,
    )


def clean_party_name(field: str, name: str) -> str:
    """A name in one line.

    Raises:
        InvalidValue: nothing is left, or it is too long.
    """
    cleaned = _one_line(name)
    if not cleaned:
        raise InvalidValue(field, "Give the name that invoices should bear.")
    if len(cleaned) > MAX_NAME_LENGTH:
        raise InvalidValue(field, f"Use at most {MAX_NAME_LENGTH} characters.")
    return cleaned


def clean_address(field: str, address: str) -> str:
    """An address in a few lines, without empty ones.

    Raises:
        InvalidValue: it is too long, or has too many lines.
    """
    lines = [line for line in map(_one_line, address.splitlines()) if line]
    cleaned = "\n".join(lines)
    if len(cleaned) > MAX_ADDRESS_LENGTH or len(lines) > MAX_ADDRESS_LINES:
        raise InvalidValue(
            field,
            f"Use at most {MAX_ADDRESS_LENGTH} characters in {MAX_ADDRESS_LINES} lines.",
        )
    return cleaned


def check_state(field: str, state: str) -> str:
    """A state's code.

    Raises:
        InvalidValue: it is none.
    """
    if state not in STATES:
        raise InvalidValue(
            field, "Give the state's two-digit GST code, e.g. 29 for Karnataka or 07 for Delhi."
        )
    return state


def _indian_state(state: str, gstin: str) -> str:
    registered_in = gstin[:2]
    if gstin and state and state != registered_in:
        raise InvalidValue(
            "state",
            f"The GSTIN is of {registered_in}-{STATES[registered_in]}: leave the state out, or "
            "give the GSTIN of the other state.",
        )
    return check_state("state", state or registered_in)


def _one_line(text: str) -> str:
    return " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())
