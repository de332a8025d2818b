"""Kinds of secrets of our own, and of those we hold, for the scan."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class BharatBuildKeyDetector(RegexBasedDetector):
    """API keys and webhook secrets of the platform."""

    secret_type = "BharatBuild API key or webhook secret"
    denylist = (
        re.compile(r"bb_live_[0-9A-Za-z]{16,}"),
        re.compile(r"whsec_[0-9A-Za-z+/]{24,}={0,2}"),
    )


class ProviderKeyDetector(RegexBasedDetector):
    """Keys of the providers that the platform calls."""

    secret_type = "Provider key"
    denylist = (
        re.compile(r"sk-ant-[0-9A-Za-z_-]{16,}"),
        re.compile(r"rzp_live_[0-9A-Za-z]{12,}"),
    )
