"""Which training row every new row starts from, and the labels that were asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _device
from .._arrays import distinct
from .._ladder.rung import balanced_starts

Index = NDArray[np.intp]


def wanted_codes(y: Any, n: int, classes: NDArray[Any] | None) -> Index | None:
    """`sample`'s argument y as n codes of classes; None where no label was asked for."""
    if y is None:
        return None
    if classes is None:
        raise ValueError(f"y must be None where fit got no labels; got {y!r} (call fit(X, y) first)")
    given = _device.to_host(_arrays.as_array(y, "y"))
    if given.dtype == object and given.ndim == 1:  # as in a column of a data frame
        given = np.array(given.tolist()) if all(isinstance(item, (str, int)) for item in given) else given
    if given.dtype.kind not in "biufUS" or (given.dtype.kind == "f" and given.dtype.itemsize > 8):
        got = f"dtype {given.dtype}" if given.ndim else repr(y)
        raise TypeError(f"y must hold integers or strings; got {got} (pass labels that fit has seen)")
    if given.ndim not in (0, 1) or (given.ndim == 1 and len(given) != n):
        raise ValueError(f"y must be one label or {n} labels; got shape {given.shape} (pass n=len(y))")
    given = np.broadcast_to(given, (n,))
    known = np.isin(given, classes)
    if not known.all():
        unknown = given[~known][0]
        raise ValueError(
            f"y must hold labels seen in fit, {classes.tolist()}; got {unknown.item()!r} (fit with rows of that class)"
        )
    return np.searchsorted(classes, given)


def choose_starts(codes: Index, n: int, wanted: Index | None, stream: np.random.Generator, *, balanced: bool = True) -> Index:
    """n training rows, as evenly as can be: of all rows, or row i of class wanted[i]; `codes` are the training rows' classes.

    balanced=False: each drawn by itself.
    """
    if not balanced:
        if wanted is None:
            return stream.integers(len(codes), size=n).astype(np.intp)
        return np.array([stream.choice(np.flatnonzero(codes == code)) for code in wanted], dtype=np.intp)
    if wanted is None:
        return balanced_starts(np.arange(len(codes)), n, stream)
    starts = np.empty(n, dtype=np.intp)
    for code in distinct(wanted):
        places = np.flatnonzero(wanted == code)
        starts[places] = balanced_starts(np.flatnonzero(codes == code), len(places), stream)
    return starts
