"""API keys: managing them, calling with them, and the limits every call is held to."""
