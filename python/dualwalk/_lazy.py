"""Attributes that are computed at their first use."""

from __future__ import annotations

import functools
from typing import Any, Self, TypeVar, cast, overload

Value = TypeVar("Value")


class cached_property(functools.cached_property[Value]):
    """`functools.cached_property` as it is from Python 3.12 on: without a lock.

    Python 3.11 holds one lock for all instances while it computes: a child that is forked meanwhile would wait for it for ever. Two
    threads that come at the same time may both compute; all go on with the value of the first. An instance can be copied and pickled
    meanwhile, as it is at that moment.
    """

    def __set_name__(self, owner: Any, name: str) -> None:
        super().__set_name__(owner, name)
        if owner.__getstate__ is object.__getstate__:
            owner.__getstate__ = _attributes_now

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Value: ...
    def __get__(self, instance: object | None, owner: type[Any] | None = None) -> Self | Value:
        if instance is None:
            return self
        value: Value = vars(instance).setdefault(cast(str, self.attrname), self.func(instance))
        return value


def _attributes_now(instance: object) -> dict[str, Any]:
    """A copy, made in one step: the attributes themselves may grow by one while they are looked at one by one."""
    return vars(instance).copy()
