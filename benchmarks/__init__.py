"""Benchmarks: scripts that measure one thing, `kernels` (pytest-benchmark suites) and `report` (their page)."""
