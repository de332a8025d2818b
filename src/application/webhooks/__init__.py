"""Webhooks: endpoints and their secrets, deliveries and their attempts."""
