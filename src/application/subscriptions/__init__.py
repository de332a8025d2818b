"""Plans and subscriptions: what is sold by the month, to whom it is given, and for how long."""
