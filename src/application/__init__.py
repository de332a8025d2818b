"""Use cases, one class each, and the ports they need the world to provide."""
