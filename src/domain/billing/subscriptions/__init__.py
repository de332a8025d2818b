"""Subscriptions: what they are, and one machine of what becomes of them."""
