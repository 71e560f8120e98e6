"""Names of columns: learned from a data frame in `fit`, and checked wherever a data frame comes later."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHOWN = 5


def column_names(X: Any) -> NDArray[np.object_] | None:
    """The names of the columns of a data frame, as objects; None for an array, and where no name is a string.

    pandas, polars, and whatever else has names in `columns` and becomes an array by `np.asarray`.
    """
    columns = getattr(X, "columns", None)
    try:
        names = list(columns) if columns is not None else []
    except TypeError:
        return None
    kinds = sorted({type(name).__name__ for name in names})
    if not any(isinstance(name, str) for name in names):
        return None
    if not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"X must have columns that are all named by strings, or none; got names of the types {', '.join(kinds)} "
            "(X.columns = X.columns.astype(str))"
        )
    return np.array(names, dtype=object)


class ColumnNames:
    """The part of an estimator that knows the names of its columns, where it was fitted on a data frame."""

    feature_names_in_: NDArray[np.object_]

    def _learn_names(self, X: Any) -> None:
        names = column_names(X)
        if names is not None:
            self.feature_names_in_ = names
        else:
            vars(self).pop("feature_names_in_", None)

    def _check_names(self, X: Any, name: str = "X") -> None:
        """ValueError for a data frame with other columns than in `fit`, or the same in another order; arrays pass."""
        learned, given = getattr(self, "feature_names_in_", None), column_names(X)
        if learned is None or given is None or list(learned) == list(given):
            return
        unseen, missing = sorted(set(given) - set(learned)), sorted(set(learned) - set(given))
        # the words of scikit-learn's own message, so that who looks for them finds them
        found = "The feature names should match those that were passed during fit.\n"
        if unseen:
            found += "Feature names unseen at fit time:\n" + _listed(unseen)
        if missing:
            found += "Feature names seen at fit time, yet now missing:\n" + _listed(missing)
        if not unseen and not missing:
            found += "Feature names must be in the same order as they were in fit.\n"
        remedy = "add the missing columns" if missing else f"pass {name}[list(model.feature_names_in_)]"
        raise ValueError(f"{found}({remedy})")


def _listed(names: list[str]) -> str:
    more = ["..."] if len(names) > _SHOWN else []
    return "".join(f"- {name}\n" for name in [*names[:_SHOWN], *more])
