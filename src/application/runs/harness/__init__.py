"""The programs that build, start and test a codebase from inside the sandbox.

They run on the standard library alone, next to the code they judge, and end by printing
one line that begins with ``MARK`` and holds a JSON object. They are read as text and
written into the workspace; nothing here is imported by the platform.
"""

from importlib.resources import files

FOLDER = ".bharatbuild"
"""Where they lie in the workspace; the path policy keeps generated files out of it."""

MARK = "@@bharatbuild-result@@ "


def program(name: str) -> bytes:
    """The source of one of them, e.g. ``build``."""
    return files(__name__).joinpath(f"{name}.py.txt").read_bytes()
