"""Composes the code: a small web application on Python's standard library, and its tests."""
