"""Prices, quotes and the account of usage."""
