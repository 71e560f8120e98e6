"""A name that is both a method and an argument of `__init__`."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

Owner = TypeVar("Owner")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class AlsoArgument(Generic[Owner, Arguments, Result]):
    """A method whose name is also an argument's: reading the name gives the method, assigning it keeps the argument.

    scikit-learn wants `__init__` to keep every argument under its own name, and does not ask for it but by `get_params`,
    which reads it in `vars(self)`.
    """

    def __init__(self, method: Callable[Concatenate[Owner, Arguments], Result]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Callable[Concatenate[Owner, Arguments], Result]: ...
    @overload
    def __get__(self, instance: Owner, owner: type) -> Callable[Arguments, Result]: ...
    def __get__(self, instance: Owner | None, owner: type) -> Callable[..., Result]:
        return self._method if instance is None else MethodType(self._method, instance)

    def __set__(self, instance: Owner, value: Any) -> None:
        vars(instance)[self._name] = value
