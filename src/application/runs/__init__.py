"""Runs: what a worker does with one, and what a person may see and ask of it.

``ExecuteRun`` claims a run and keeps its lease; ``RunGraph`` finds what is ready and works
on it at once; a ``StepWork`` is one agent at one step; ``StepCalls`` is its line to the
language model, through the journal. The database is the truth at every point: whatever
is in memory here may vanish, and another worker goes on from the last finished step.
"""
