"""Reading the audit log. It is written by the use cases that it tells of."""
