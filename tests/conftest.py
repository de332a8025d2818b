"""What every test shares: readable failures of contracts, and no clock on Hypothesis."""

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.contracts")

# A slow machine is not a failure: examples are bounded in number, not in time. For a long
# search, HYPOTHESIS_PROFILE=thorough.
settings.register_profile("quick", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
