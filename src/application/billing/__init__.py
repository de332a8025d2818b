"""Prices as they are now, and the account of usage."""
