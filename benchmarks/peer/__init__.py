"""The same read, done the usual way on FastAPI, Pydantic and the ORM: what it is compared with."""
