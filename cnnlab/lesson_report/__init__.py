"""The report that a student hands in: answers, pinned figures, runs, and programs that repeat the runs; HTML or zip."""
