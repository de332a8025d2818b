"""Projects, the runs that execute them, the steps of a run, and what comes out."""
