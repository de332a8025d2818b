"""Small real servers that stand in for somebody else's, where faults must be exact."""
