"""The ways in: HTTP, worker, dispatcher and command line, and the root that composes them."""
