"""Effects that happen once, however often they are asked for."""
