"""What every ``RateLimiter`` keeps: GCRA's definition, over all policies or none."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count

from hypothesis import strategies as st

from application.ports.rate_limiter import Charge, RateLimiter
from domain.keys.rate_limit import RatePolicy, Standing

SetTime = Callable[[int], Awaitable[None]]
"""Makes it that many milliseconds, of any epoch, for the limiter."""

_callers = count()

QUOTAS = st.integers(1, 12) | st.sampled_from([100, 1_000, 100_000])
WINDOWS = st.sampled_from([1, 2, 7, 60, 3_600, 86_400])
POLICIES = st.lists(
    st.builds(
        RatePolicy, of=st.sampled_from(["key", "user"]), quota=QUOTAS, window_seconds=WINDOWS
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda policy: (policy.of, policy.window_seconds),
)
PAUSES = st.sampled_from([0, 0, 0, 1, 2, 999, 1_000]) | st.integers(0, 100_000)
COSTS = st.integers(1, 3) | st.sampled_from([0, 7, 100, 10**6, -1, -3])
REQUESTS = st.lists(st.tuples(PAUSES, COSTS), min_size=1, max_size=30)


@dataclass
class Textbook:
    """GCRA as virtual scheduling, with exact fractions (ITU-T I.371, annex A).

    Written apart from the code under test: a theoretical arrival time a policy, in
    milliseconds. An arrival conforms when it comes no earlier than that time, with its own
    emission intervals added, less one whole quota's.
    """

    policies: Sequence[RatePolicy]
    theoretical: dict[RatePolicy, Fraction] = field(default_factory=dict)

    def request(self, now: int, cost: int) -> bool:
        """Whether the arrival conforms to every policy; only then does it count."""
        after = {}
        for policy in self.policies:
            interval = Fraction(policy.window_seconds * 1_000, policy.quota)
            start = max(Fraction(now), self.theoretical.get(policy, Fraction(now)))
            new = max(Fraction(now), start + min(cost, policy.quota) * interval)
            if cost > 0 and new - policy.quota * interval > now:
                return False
            after[policy] = new
        self.theoretical = after
        return True

    def standing(self, policy: RatePolicy, now: int, cost: int) -> Standing:
        """What the textbook says of the state it is in, before a request of that cost."""
        interval = Fraction(policy.window_seconds * 1_000, policy.quota)
        ahead = max(Fraction(0), self.theoretical.get(policy, Fraction(now)) - now)
        beyond = ahead + min(cost, policy.quota) * interval - policy.quota * interval
        return Standing(
            policy=policy,
            remaining=math.floor((policy.quota * interval - ahead) / interval),
            reset_seconds=math.ceil(ahead / 1_000),
            retry_seconds=max(0, math.ceil(beyond / 1_000)),
        )


async def assert_as_in_the_textbook(
    limiter: RateLimiter,
    set_time: SetTime,
    policies: Sequence[RatePolicy],
    requests: Sequence[tuple[int, int]],
) -> None:
    """Send the requests, each after its pause in milliseconds, and compare every answer."""
    textbook, caller, now = Textbook(policies), f"caller-{next(_callers)}", 1_790_000_000_000
    for pause, cost in requests:
        now += pause
        await set_time(now)
        verdict = await limiter.charge(
            [Charge(policy=policy, caller=caller, cost=cost) for policy in policies]
        )
        admitted = textbook.request(now, cost)
        assert verdict.admitted == admitted
        asked = 1 if admitted else cost
        assert list(verdict.standings) == [
            textbook.standing(policy, now, asked) for policy in policies
        ]


def policy(quota: int, window_seconds: int = 86_400, of: str = "key") -> RatePolicy:
    return RatePolicy(of=of, quota=quota, window_seconds=window_seconds)


class RateLimiterContract:
    async def test_a_quota_passes_at_once_and_nothing_after_it(self, limiter: RateLimiter) -> None:
        charge = Charge(policy=policy(100), caller=f"c{next(_callers)}")
        answers = await asyncio.gather(*(limiter.charge([charge]) for _ in range(150)))
        assert sum(answer.admitted for answer in answers) == 100
        refused = next(answer for answer in answers if not answer.admitted)
        assert [each.policy for each in refused.violated] == [charge.policy]
        assert 0 < refused.violated[0].retry_seconds <= 864

    async def test_it_counts_under_all_policies_or_under_none(self, limiter: RateLimiter) -> None:
        caller = f"c{next(_callers)}"
        narrow, wide = policy(2, of="key"), policy(10, of="user")
        both = [Charge(policy=narrow, caller=caller), Charge(policy=wide, caller=caller)]
        for _ in range(5):
            verdict = await limiter.charge(both)
        assert [each.policy for each in verdict.violated] == [narrow]
        alone = await limiter.charge([Charge(policy=wide, caller=caller)])
        assert alone.standings[0].remaining == 7

    async def test_callers_do_not_share(self, limiter: RateLimiter) -> None:
        one, other = f"c{next(_callers)}", f"c{next(_callers)}"
        for _ in range(3):
            await limiter.charge([Charge(policy=policy(3), caller=one)])
        assert not (await limiter.charge([Charge(policy=policy(3), caller=one)])).admitted
        assert (await limiter.charge([Charge(policy=policy(3), caller=other)])).admitted

    async def test_a_weight_counts_as_so_many(self, limiter: RateLimiter) -> None:
        charge = Charge(policy=policy(10), caller=f"c{next(_callers)}", cost=4)
        answers = [await limiter.charge([charge]) for _ in range(3)]
        assert [answer.admitted for answer in answers] == [True, True, False]
        assert answers[1].standings[0].remaining == 2

    async def test_what_is_given_back_can_be_used_again(self, limiter: RateLimiter) -> None:
        caller = f"c{next(_callers)}"
        for _ in range(2):
            await limiter.charge([Charge(policy=policy(2), caller=caller)])
        await limiter.charge([Charge(policy=policy(2), caller=caller, cost=-1)])
        assert (await limiter.charge([Charge(policy=policy(2), caller=caller)])).admitted
        assert not (await limiter.charge([Charge(policy=policy(2), caller=caller)])).admitted

    async def test_raising_a_quota_buys_no_fresh_start(self, limiter: RateLimiter) -> None:
        caller = f"c{next(_callers)}"
        for _ in range(10):
            await limiter.charge([Charge(policy=policy(10), caller=caller)])
        raised = await limiter.charge([Charge(policy=policy(11), caller=caller)])
        assert raised.admitted
        assert not (await limiter.charge([Charge(policy=policy(11), caller=caller)])).admitted
