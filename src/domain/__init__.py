"""The house's own ideas: pure values and rules, on the standard library alone."""
