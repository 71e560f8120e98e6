"""What every estimator here shares: scikit-learn's parameter conventions, without scikit-learn."""

from __future__ import annotations

import inspect
from typing import Any, Self

from ._model_file.saved import Saved


class NotFittedError(ValueError, AttributeError):
    """A method that needs a fitted model was called before `fit`."""


class SmallSampleWarning(UserWarning):
    """There are too few samples for the number of features: what was computed deserves little trust."""


class Estimator(Saved):
    """get_params, set_params and repr, read off the signature of `__init__` (which only stores its arguments)."""

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments and their values."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments by name; the model must be fitted again afterwards."""
        names = self._parameter_names()
        for name in params:
            if name not in names:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; its parameters are {', '.join(names)}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def _check_fitted(self, attribute: str) -> None:
        if not hasattr(self, attribute):
            name = type(self).__name__
            raise NotFittedError(f"this {name} is not fitted yet; call {name}(...).fit(X) first")

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        shown = (f"{k}={v!r}" for k, v in self.get_params().items() if v is not defaults[k].default)
        return f"{type(self).__name__}({', '.join(shown)})"
