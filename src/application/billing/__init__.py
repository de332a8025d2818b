"""Prices as they are now, what a person is given, holds, owes and pays, and what was used."""
