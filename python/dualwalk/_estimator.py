"""What every estimator here shares: scikit-learn's conventions, kept without scikit-learn.

It is imported where it asks for its own things only (its tags), and looked at where the caller has imported it already.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ClassVar, Self, TypeVar, cast

from . import _checks
from ._blas import one_blas_thread
from ._columns import ColumnNames
from ._model_file.saved import Saved

Fit = TypeVar("Fit", bound=Callable[..., Any])


class NotFittedError(ValueError, AttributeError):
    """A method that needs a fitted model was called before `fit`. Where scikit-learn is imported, it is one of its own as well."""


class SmallSampleWarning(UserWarning):
    """There are too few samples for the number of features: what was computed deserves little trust."""


class Estimator(Saved, ColumnNames):
    """get_params, set_params and repr, read off the signature of `__init__` (which only stores its arguments)."""

    _fitted_attribute: ClassVar[str]  # it is there after `fit`

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments and their values; with `deep`, also those of arguments that are estimators, as name__inner."""
        params = {name: vars(self)[name] for name in self._parameter_names()}
        if _checks.flag(deep, "deep"):
            for name, value in list(params.items()):
                if _has_params(value):
                    params.update({f"{name}__{inner}": of for inner, of in value.get_params().items()})
        return params

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments by name; the model must be fitted again afterwards."""
        names = self._parameter_names()
        for key in params:
            name, nested, _ = key.partition("__")
            if name not in names or (nested and not _has_params(params.get(name, vars(self)[name]))):
                raise ValueError(
                    f"{type(self).__name__} has no parameter {key!r}; its parameters are {', '.join(names)}; got params "
                    f"{sorted(params)} (look for the name in get_params())"
                )
        for key, value in sorted(params.items(), key=lambda item: "__" in item[0]):  # an estimator before its own parameters
            name, nested, inner = key.partition("__")
            if nested:
                vars(self)[name].set_params(**{inner: value})
            else:
                setattr(self, name, value)
        return self

    def _check_fitted(self, argument: str = "") -> None:
        """NotFittedError before `fit`; `argument` is the name that the caller passed this estimator by."""
        if not self.__sklearn_is_fitted__():
            name = type(self).__name__
            if argument:
                raise _not_fitted(f"{argument} must be fitted; got a {name} that is not fitted yet (call its fit(X) first)")
            raise _not_fitted(f"this {name} is not fitted yet; call {name}(...).fit(X) first")

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        shown = (f"{k}={v!r}" for k, v in self.get_params(deep=False).items() if not _is_same(v, defaults[k].default))
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str | None:
        """The drawing of an estimator in a notebook, where scikit-learn is in use and set to draw."""
        if sklearn_setting("display", "text") != "diagram":
            return None
        return cast(str, importlib.import_module("sklearn.utils").estimator_html_repr(self))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, self._fitted_attribute)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn (1.6 and later) wants to know: dense X of two or three axes, and no y needed."""
        utils = importlib.import_module("sklearn.utils")
        return utils.Tags(
            estimator_type=None,
            target_tags=utils.TargetTags(required=False),
            input_tags=utils.InputTags(two_d_array=True, three_d_array=True),
        )

    def _get_tags(self) -> dict[str, Any]:
        """The same for scikit-learn before 1.6."""
        return {**importlib.import_module("sklearn.utils._tags")._DEFAULT_TAGS, "X_types": ["2darray", "3darray"]}


def whole(fit: Fit) -> Fit:
    """A `fit` that learns all or nothing, on one BLAS thread: after an error, or Ctrl-C, the estimator is what it was before."""

    @wraps(fit)
    def fit_whole(self: Any, *arguments: Any, **named: Any) -> Any:
        before = vars(self).copy()
        try:
            with one_blas_thread():
                return fit(self, *arguments, **named)
        except BaseException:
            self.__dict__ = before
            raise

    return cast(Fit, fit_whole)


def sklearn_setting(name: str, default: str) -> str:
    """A value of `sklearn.get_config()` where scikit-learn is imported (to the end: another thread may be at it), else the default."""
    get_config = getattr(sys.modules.get("sklearn"), "get_config", None)
    return default if get_config is None else get_config()[name]


def _has_params(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _is_same(value: Any, default: Any) -> bool:
    """Whether a parameter has its default value; of arrays and the like no truth is asked."""
    return value is default or (type(value) is type(default) and isinstance(value, (int, float, str)) and value == default)


def _not_fitted(message: str) -> NotFittedError:
    """The error; where scikit-learn is imported, one that `except sklearn.exceptions.NotFittedError` catches too."""
    theirs = sys.modules.get("sklearn.exceptions")
    return NotFittedError(message) if theirs is None else _both_kinds(theirs.NotFittedError)(message)


@cache
def _both_kinds(theirs: Any) -> type[NotFittedError]:
    members = {"__doc__": NotFittedError.__doc__, "__reduce__": lambda error: (_not_fitted, error.args)}
    return cast("type[NotFittedError]", type("NotFittedError", (NotFittedError, theirs), members))
