"""Who somebody is, and what their role lets them do."""
