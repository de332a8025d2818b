"""What a run says to a model and is answered: the figures quotes are made of at first.

Measured by ``benchmarks/quote_sizes.py`` on 24 November 2026: 32 sample ideas, each run
through the developer pipeline with the offline composer, each call as the Claude adapter would
have sent it. No paid model wrote these answers; :data:`WRITING` says what is allowed for that,
and the platform's own history takes their place as soon as there is enough of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from domain.agents.pipelines import Depth

BYTES_PER_TOKEN = 4
"""A usual figure for English and code. Indian scripts take three bytes a character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A low, an expected and a high figure, in this order."""

    low: int
    expected: int
    high: int

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.expected <= self.high:
            raise ValueError("a span runs from 0 upwards: low, expected, high")

    def __add__(self, other: "Span") -> "Span":
        return Span(
            low=self.low + other.low,
            expected=self.expected + other.expected,
            high=self.high + other.high,
        )


NOTHING = Span(low=0, expected=0, high=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSizes:
    """One kind of call of a step, as measured: the least, the median and the most.

    ``calls`` is how many a run makes; ``prompt`` is one call's, in tokens, without the idea
    itself; ``answers`` is what all of them are answered together.
    """

    calls: Span
    prompt: Span
    answers: Span


def _sizes(
    calls: tuple[int, int, int], prompt: tuple[int, int, int], answers: tuple[int, int, int]
) -> CallSizes:
    return CallSizes(
        calls=Span(low=calls[0], expected=calls[1], high=calls[2]),
        prompt=Span(low=prompt[0], expected=prompt[1], high=prompt[2]),
        answers=Span(low=answers[0], expected=answers[1], high=answers[2]),
    )


SIZES: Mapping[str, tuple[CallSizes, ...]] = MappingProxyType(
    {
        "idea": (_sizes((1, 1, 1), (1_476, 1_485, 1_512), (496, 1_121, 2_072)),),
        "srs": (_sizes((1, 1, 1), (2_839, 3_470, 4_417), (2_865, 6_129, 11_449)),),
        "prd": (_sizes((1, 1, 1), (2_507, 3_138, 4_085), (955, 1_491, 2_320)),),
        "code": (
            _sizes((1, 1, 1), (5_946, 10_261, 17_400), (1_434, 1_681, 2_137)),
            _sizes((6, 7, 9), (7_128, 11_939, 19_290), (30_443, 38_460, 50_290)),
        ),
        # It asks a model for repairs alone, and those are the house's.
        "verify": (),
    }
)
"""By agent type. An agent that is missing here cannot be quoted, and a test says so."""

WRITING = Span(low=1, expected=2, high=4)
"""How many times the measured answer a model is taken to write: rules do not think before they
write, and a model that does pays for it as output."""

DEPTHS: Mapping[Depth, tuple[int, int]] = MappingProxyType(
    {Depth.BRIEF: (1, 2), Depth.STANDARD: (1, 1), Depth.THOROUGH: (2, 1)}
)
"""What an agent's depth makes of an answer's length, as a fraction."""


def tokens_of(utf8_bytes: int) -> int:
    """About how many tokens so much text is."""
    return -(-utf8_bytes // BYTES_PER_TOKEN)
