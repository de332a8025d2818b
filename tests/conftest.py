"""What every test shares: readable failures of contracts, and no clock on Hypothesis."""

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.contracts")

# A slow machine is not a failure: examples are bounded in number, not in time.
settings.register_profile("bharatbuild", deadline=None)
settings.load_profile("bharatbuild")
