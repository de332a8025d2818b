"""The console command: start the platform, look after it, and build from a terminal."""
