"""What a field holds, told from its name."""

import re

from domain.agents.artifacts import FieldType

_TYPES: tuple[tuple[FieldType, str], ...] = (
    (FieldType.EMAIL, r"(.*_)?e?mail(_id|_address)?"),
    (
        FieldType.CHOICE,
        (
            r"status|(.*_)?status|blood_group|gender|sex|priority|severity|"
            r"payment_(method|mode)|shift|meal|size|day_of_week|diet|unit_of_measure"
        ),
    ),
    (
        FieldType.DATE,
        (
            r"(.*_)?(date|on|deadline|birthday|dob)|date_of_.*|(.*_)?(due_by|"
            r"valid_until|return_by)|expiry|due"
        ),
    ),
    (
        FieldType.BOOLEAN,
        (
            r"(is|has|can|was)_.*|(.*_)?(verified|active|available|approved|paid|"
            r"urgent|vegetarian|refundable|anonymous|emergency)"
        ),
    ),
    (
        FieldType.DECIMAL,
        (
            r"(.*_)?(price|amount|fee|fees|cost|costs|salary|rent|total|balance|rate|"
            r"mrp|tax|discount|weight|height|wage|charge|charges|deposit|budget|"
            r"income|area|acres|latitude|longitude|percentage|litres|kilograms|"
            r"temperature|price_per_.*|goal|premium|interest|turnover|revenue|value|"
            r"distance|fat|emi|principal|penalty|yield|dosage_mg|carpet_area|km|"
            r"fine_due)"
        ),
    ),
    (
        FieldType.INTEGER,
        (
            r"(number|no)_of_.*|(.*_)?(count|quantity|qty|stock|age|year|capacity|"
            r"copies|seats|beds|floor|floors|rating|score|duration|minutes|hours|days|"
            r"months|points|units|guests|bedrooms|pages|servings|marks|semester|"
            r"reorder_level|stock_level|rank|likes|votes|calories|runs|wickets|"
            r"attendees|max_marks|sets|reps|slots|tickets|spots|members_count|rooms|"
            r"credits|vacancies|openings|streak|persons|position_number|"
            r"order_number_in_list|weeks|mileage|odometer)"
        ),
    ),
    (
        FieldType.LONG_TEXT,
        (
            r"(.*_)?(description|notes?|remarks?|address|comments?|details?|message|"
            r"content|body|feedback|reason|bio|instructions|diagnosis|prescription|"
            r"symptoms|summary|agenda|findings|ingredients|steps|steps_to_follow|"
            r"terms|history|resolution|answer|allergies|review_text|medical_history|"
            r"text)"
        ),
    ),
)

_CHOICES: dict[str, tuple[str, ...]] = {
    "blood_group": ("A+", "A-", "B+", "B-", "AB+", "AB-", "O+", "O-"),
    "gender": ("female", "male", "other"),
    "sex": ("female", "male", "other"),
    "priority": ("low", "medium", "high"),
    "severity": ("minor", "major", "critical"),
    "payment_method": ("cash", "UPI", "card", "bank transfer"),
    "payment_mode": ("cash", "UPI", "card", "bank transfer"),
    "shift": ("morning", "afternoon", "night"),
    "meal": ("breakfast", "lunch", "snacks", "dinner"),
    "size": ("small", "medium", "large"),
    "diet": ("vegetarian", "non-vegetarian", "vegan"),
    "unit_of_measure": ("piece", "kg", "gram", "litre", "packet"),
    "day_of_week": (
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ),
}

STATUS_CHOICES = ("open", "in progress", "done", "cancelled")
"""What a status may be when the idea does not say."""

_ACRONYMS = {
    "isbn": "ISBN",
    "gst": "GST",
    "id": "ID",
    "sku": "SKU",
    "url": "URL",
    "dob": "Date of birth",
    "emi": "EMI",
    "mrp": "MRP",
    "pin": "PIN",
    "upi": "UPI",
    "km": "km",
    "imei": "IMEI",
    "pan": "PAN",
    "ifsc": "IFSC",
    "hsn": "HSN",
    "aadhaar": "Aadhaar",
    "qr": "QR",
    "otp": "OTP",
}


def type_of(name: str) -> FieldType:
    """The type of the field called ``name``; text when the name says nothing else."""
    for type_, pattern in _TYPES:
        if re.fullmatch(pattern, name):
            return type_
    return FieldType.TEXT


def choices_of(name: str) -> tuple[str, ...]:
    """The choices of the field called ``name``."""
    return _CHOICES.get(name, STATUS_CHOICES)


def label_of(name: str) -> str:
    """How the field called ``name`` is written for people."""
    words = name.replace("-", "_").split("_")
    written = " ".join(_ACRONYMS.get(word.lower(), word) for word in words if word)
    return written[:1].upper() + written[1:]
