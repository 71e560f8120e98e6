"""Peers as their authors publish them on PyPI, behind the same two calls."""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np

from .classical import Flat


class ARF(Flat):
    """Adversarial random forests (Watson et al. 2023), package arfpy: a density in the leaves of a forest that unlearns."""

    def fit_rows(self, rows: np.ndarray) -> None:
        import pandas as pd
        from arfpy import arf

        if not hasattr(np, "in1d"):
            np.in1d = np.isin  # noqa: NPY201 - arfpy 0.1.1 asks for the old name, which NumPy 2.4 has dropped
        np.random.seed(self.seed)  # noqa: NPY002 - arfpy draws from the global generator
        # A constant column has no density; it is put back afterwards.
        self.constant = rows.min(axis=0) == rows.max(axis=0)
        self.example = rows[0].copy()
        frame = pd.DataFrame(rows[:, ~self.constant]).rename(columns=lambda column: f"x{column}")
        with self._quiet():
            self.model = arf.arf(x=frame, random_state=self.seed)
            self.model.forde()
        self.choice = f"{len(self.model.acc) - 1} rounds"

    def draw(self, n: int) -> np.ndarray:
        with self._quiet():
            drawn = self.model.forge(n=n).to_numpy(dtype=np.float64)
        out = np.tile(self.example, (n, 1))
        out[:, ~self.constant] = drawn
        return out

    @staticmethod
    @contextlib.contextmanager
    def _quiet():
        """arfpy prints its rounds, and warns of its own use of pandas."""
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
