"""The outside world behind the ports: one family a folder, none knowing another."""
