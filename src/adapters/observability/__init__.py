"""Logs and metrics. The one adapter family every entrypoint may use beside the others."""
