"""How each type of document is laid out: an artifact in, blocks out. Nothing is written here."""
