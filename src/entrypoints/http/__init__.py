"""The REST API and the live stream, over Litestar.

Handlers turn requests into commands and results into answers, and do nothing else. The
container is opened in the application's lifespan; a handler is given its use case by
name. Every error becomes RFC 9457 problem details by the one table in ``problems``.
"""
