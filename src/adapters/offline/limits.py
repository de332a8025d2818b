"""What an idea asks for that code made by rules does not do: said openly, never imitated."""

import re

_ALWAYS = (
    "Signing in, and rights that differ from person to person: whoever reaches the application"
    " can use all of it.",
    "Taking money: amounts are recorded, not collected.",
)

_ASKED: tuple[tuple[str, str], ...] = (
    (r"whatsapp", "Sending WhatsApp messages"),
    (r"sms|text messages?|otp", "Sending SMS"),
    (r"notif\w*|remind\w*|alerts?|e-?mails? to", "Sending reminders and notifications"),
    (
        r"razorpay|payment gateway|online payments?|pay online|upi|stripe|paytm",
        "Paying online through a gateway",
    ),
    (r"gps|google maps?|live location|real-?time tracking|navigation", "Maps and live locations"),
    (
        r"\bai\b|machine learning|\bml\b|predict\w*|recommend\w*|chatbot|gpt",
        "Predictions, recommendations and chatbots",
    ),
    (r"qr|barcodes?|rfid|scan\w*", "Scanning of codes"),
    (r"photos?|images?|pictures?|videos?|upload\w*|camera", "Storing photos, videos and files"),
    (r"biometric\w*|fingerprints?|face recognition", "Biometric identification"),
    (r"voice|calls?|video call\w*", "Voice and video calls"),
    (
        r"android|ios|mobile app|flutter|react native|play store",
        "An app for app stores: the pages adapt to a telephone instead",
    ),
    (r"pdf|excel|exports?|print\w*", "Export to PDF or Excel"),
    (r"charts?|graphs?|analytics", "Charts and analytics beyond counts"),
    (
        (
            r"multi-?lingual|hindi|marathi|tamil|telugu|bengali|kannada|gujarati|"
            r"regional languages?"
        ),
        "Screens in several languages: what is typed in may be in any script",
    ),
    (r"offline|without internet", "Work on a telephone without a connection"),
    (r"blockchain|smart contracts?", "Records on a blockchain"),
    (r"iot|sensors?|arduino|raspberry", "Reading of sensors and devices"),
    (r"chat|messaging|forum", "Chat between people"),
    (r"barter|auction|bidding", "Auctions"),
)


def left_out(idea: str) -> tuple[str, ...]:
    """What is not part of the composed system, the things the idea itself mentions first."""
    text = idea[:20_000].lower()
    asked = [
        f"{what}. The idea mentions it; the code composed offline does not do it."
        for pattern, what in _ASKED
        if re.search(rf"\b(?:{pattern})\b", text)
    ]
    return (*asked, *_ALWAYS)
