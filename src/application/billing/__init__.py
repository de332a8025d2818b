"""Prices, what a person is given, holds, uses, owes and pays, and the papers of it."""
