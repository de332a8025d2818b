"""What was done, by whom, from where, and on what: the words of the audit log."""
