"""Tests, and what they share: fakes, contracts and servers."""
