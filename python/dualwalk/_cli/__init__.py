"""The jobs of the command line, a file each, and what they share. A job refuses what it can before any work, and writes last."""

JOBS = ("demo", "estimate", "score", "cluster", "sample", "impute", "evaluate", "report", "bench", "config")
