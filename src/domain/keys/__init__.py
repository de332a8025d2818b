"""Partners' access: API keys, what they may do, and how much of it at a time."""
