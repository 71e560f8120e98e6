"""Draws, estimates and limits against laws that are known: minutes of them, run by `pytest -m statistical`.

`test_*.py` hold what is asked of the library, `test_notices.py` (in the plain suite) what every checker refuses. The checkers
are in the other modules: each returns p-values by name, or fails by itself where no chance is involved.
"""
