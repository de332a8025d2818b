"""What an operator asks of the platform."""
