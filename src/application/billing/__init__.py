"""What a person is given, holds, owes and pays, in credits and in money."""
