"""Getting in: registering, signing in, and who am I."""
