"""`dualwalk impute`: missing values drawn given the known ones."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from .. import __version__
from ..report import words
from ..sampler import DualSampler
from .fitting import fit_sampler, read
from .output import Output, columns, writable, write


def run(options: argparse.Namespace) -> None:
    path = writable(options.out, ".npz", ".npy", ".csv")
    if options.n is not None and Path(path).suffix.lower() != ".npz":
        raise ValueError(f"-n asks for several draws, which need an .npz to hold them; got --out {path} (name an .npz file)")
    out = Output(options, path)
    X, y = read(options, missing=True, min_samples=1)
    if options.model is not None:
        sampler = DualSampler.load(options.model)
    else:
        sampler = fit_sampler(options, read(options, options.train).X, None)
    filled = sampler.impute(X, options.n, seed=options.seed)
    n_missing = int(np.isnan(X).sum()) if X.dtype.kind == "f" else 0
    out.line(f"dualwalk {__version__}: {options.file}, {len(X)} samples of {words.shape(X.shape[1:])}")
    out.row("missing", f"{n_missing} of {X.size} values ({100 * n_missing / X.size:.1f} %)")
    arrays = {"X": filled}
    if options.n is not None:
        lower, upper = np.quantile(filled, [0.05, 0.95], axis=0).astype(filled.dtype)
        arrays = {"X": filled.mean(axis=0, dtype=np.float64).astype(filled.dtype)}
        arrays |= {"X_draws": filled, "X_lower": lower, "X_upper": upper}
        known = ~np.isnan(X)
        for name in ("X", "X_lower", "X_upper"):
            arrays[name][known] = X[known]  # a mean of equal numbers may round
    if y is not None:
        arrays["y"] = y
    write(path, arrays, columns(arrays["X"], y))
    out.row("filled", path)
    out.result(
        job="impute",
        file=options.file,
        n_samples=len(X),
        n_missing=n_missing,
        n_draws=options.n or 1,
        seed=options.seed,
        out=path,
    )
