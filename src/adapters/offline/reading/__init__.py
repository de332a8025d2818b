"""Reads an idea: who does what to which things, and what is said about those things."""
