"""The schema's history, applied by the ``owner`` role alone."""
