"""The version, as the distribution's metadata has it."""

from importlib.metadata import version

VERSION = version("bharatbuild")
