"""Use cases of money: what is sold, paid, invoiced and paid back."""
