"""Agents as data: the artifacts they make, the pipelines they form, the checks they pass."""
