"""Attributes that are computed at their first use."""

from __future__ import annotations

import functools
from typing import Any, Self, TypeVar, cast, overload

Value = TypeVar("Value")


class cached_property(functools.cached_property[Value]):
    """`functools.cached_property` as it is from Python 3.12 on: without a lock.

    Python 3.11 holds one lock for all instances while it computes: a child that is forked meanwhile would wait for it for ever. Two
    threads that come at the same time may both compute; all go on with the value of the first.
    """

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Value: ...
    def __get__(self, instance: object | None, owner: type[Any] | None = None) -> Self | Value:
        if instance is None:
            return self
        value: Value = vars(instance).setdefault(cast(str, self.attrname), self.func(instance))
        return value
