"""What the estimators with a `transform` share: names of its columns, and data frames where the user asks for them."""

from __future__ import annotations

import importlib
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks
from ._estimator import Estimator, sklearn_setting

_FRAMES = ("pandas", "polars")


class Transformer(Estimator):
    """`set_output` and scikit-learn's global `transform_output`, which both work without importing scikit-learn here."""

    def set_output(self, *, transform: str | None = None) -> Self:
        """What `transform` and `fit_transform` return: "default" (an array), "pandas", "polars", or None to change nothing.

        Without a choice of its own, an estimator follows sklearn.set_config(transform_output=...). Results with three axes, and
        those on a device, stay arrays: a data frame has two axes, in the host's memory.
        """
        if transform is not None:
            # the attribute's name is scikit-learn's: its `clone` copies it
            self._sklearn_output_config = {"transform": _checks.choice(transform, "transform", ("default", *_FRAMES))}
        return self

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """The names of the columns that `transform` returns, (n_columns,)."""
        raise NotImplementedError

    def _names_in(self, input_features: ArrayLike | None) -> NDArray[np.object_]:
        """The names of the columns of X: those given, which must be those of `fit` where it saw any; else "x0", "x1", ..."""
        self._check_fitted()
        learned: NDArray[np.object_] | None = getattr(self, "feature_names_in_", None)
        n_features = vars(self)["n_features_in_"]
        if input_features is None:
            return np.array([f"x{j}" for j in range(n_features)], dtype=object) if learned is None else learned
        if isinstance(input_features, str) or not all(
            isinstance(name, str) for name in np.atleast_1d(_named(input_features)).flat
        ):
            raise TypeError(
                f"input_features must be a list of strings; got {input_features!r:.80} (leave it out, or name every column)"
            )
        given = _named(input_features)
        if learned is not None and not np.array_equal(given, learned):
            raise ValueError(
                f"input_features is not equal to feature_names_in_; got {given.size} names (leave it out, or pass the names seen in fit)"
            )
        if given.shape != (n_features,):
            raise ValueError(
                f"input_features should have length equal to number of features ({n_features}), got {given.size} (leave it out, or "
                "name every column)"
            )
        return given

    def _framed(self, array: Any, X: Any) -> Any:
        """`array`, made from X, as a data frame where one is asked for; a pandas frame has the index of X."""
        own: dict[str, str] = getattr(self, "_sklearn_output_config", {})
        wanted = own.get("transform") or sklearn_setting("transform_output", "default")
        if wanted not in _FRAMES or array.ndim != 2 or not isinstance(array, np.ndarray):
            return array
        names = self.get_feature_names_out()
        library = importlib.import_module(wanted)
        if wanted == "polars":
            return library.DataFrame(array, schema=names.tolist(), orient="row")
        return library.DataFrame(array, columns=names, index=X.index if isinstance(X, library.DataFrame) else None, copy=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags = importlib.import_module("sklearn.utils").TransformerTags()
        return tags


def _named(names: Any) -> NDArray[np.object_]:
    try:
        return np.asarray(names, dtype=object)
    except Exception:  # noqa: BLE001  whatever a caller's own object raises
        return np.array(None, dtype=object)
