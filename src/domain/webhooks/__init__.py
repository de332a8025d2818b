"""Outbound webhooks: what is told, to whom, signed how, and tried how often."""
