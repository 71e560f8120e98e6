"""A small convolutional critic: two convolutions along time over all channels, then a linear map of every time's features.

    h_1 = silu(conv(x, 5 times, n_filters)),  h_2 = silu(conv(h_1, 3 times, n_filters)),  f = <w, h_2> + b

Convolutions are padded with zeros; samples are (n_channels, n_times), flattened in that order. The last map has its own weights
for every time: a series of windows need not be stationary. All weights in one flat array, as in `network`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

FIRST_REACH, SECOND_REACH = 5, 3  # times a filter looks at


@dataclass(frozen=True)
class ConvShape:
    """Sizes of the critic."""

    n_channels: int
    n_times: int
    n_filters: int = 16

    @classmethod
    def of(cls, feature_shape: tuple[int, ...], n_filters: int = 16) -> ConvShape:
        """For samples of `feature_shape`; plain features are one channel in the order of the columns."""
        channels, times = feature_shape if len(feature_shape) == 2 else (1, feature_shape[0])
        return cls(channels, times, n_filters)

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """Shapes of the three layers' matrices, bias column included."""
        f = self.n_filters
        return (f, FIRST_REACH * self.n_channels + 1), (f, SECOND_REACH * f + 1), (1, self.n_times * f + 1)

    @property
    def n_weights(self) -> int:
        return sum(rows * columns for rows, columns in self.matrices)


def initial_weights(rng: np.random.Generator, shape: ConvShape, dtype: Any = np.float32) -> NDArray[Any]:
    """Flat weights to start from: signals keep their size, f starts small."""
    weights = np.zeros(shape.n_weights, dtype)
    for matrix, gain in zip(_views(weights, shape), (1.0, 1.6, 0.1), strict=True):
        inputs = matrix.shape[1] - 1
        matrix[:, :-1] = rng.standard_normal((len(matrix), inputs)) * (gain / np.sqrt(inputs))
    return weights


def _views(flat: NDArray[Any], shape: ConvShape) -> list[NDArray[Any]]:
    views, start = [], 0
    for rows, columns in shape.matrices:
        views.append(flat[start : start + rows * columns].reshape(rows, columns))
        start += rows * columns
    return views


class ConvNetwork:
    """The critic on flat `weights`, used in place: `outputs` runs it, `backward` differentiates the last run."""

    def __init__(self, shape: ConvShape, weights: NDArray[Any]) -> None:
        self.shape = shape
        self.weights = weights
        self._matrices = _views(weights, shape)
        self._kept: list[NDArray[Any]] = []

    def outputs(self, x: NDArray[Any]) -> NDArray[Any]:
        """f of rows `x` (n, n_channels * n_times): (n, 1)."""
        shape = self.shape
        first, second, last = self._matrices
        signal = x.reshape(len(x), shape.n_channels, shape.n_times).transpose(0, 2, 1)
        seen = _windows(signal, FIRST_REACH)
        hidden, slope = _silu(seen @ first[:, :-1].T + first[:, -1])
        seen_next = _windows(hidden.reshape(len(x), shape.n_times, -1), SECOND_REACH)
        features, slope_next = _silu(seen_next @ second[:, :-1].T + second[:, -1])
        features = features.reshape(len(x), -1)
        self._kept = [seen, slope, seen_next, slope_next, features]
        return np.asarray(features @ last[:, :-1].T + last[:, -1])

    def backward(
        self, slope: NDArray[Any], gradient: NDArray[Any] | None = None, *, by_inputs: bool = False
    ) -> NDArray[Any] | None:
        """Propagate `slope` (n, 1): ADD to the weights' `gradient`, return the inputs' (n, n_features) if asked."""
        n, shape = len(slope), self.shape
        seen, by_first, seen_next, by_second, features = self._kept
        first, second, last = self._matrices
        back = (slope @ last[:, :-1]).reshape(by_second.shape) * by_second
        back_first = _scatter(back @ second[:, :-1], n, shape.n_times, SECOND_REACH).reshape(by_first.shape) * by_first
        if gradient is not None:
            into = _views(gradient, shape)
            for matrix, signal, by in zip(into, (seen, seen_next, features), (back_first, back, slope), strict=True):
                matrix[:, :-1] += by.T @ signal
                matrix[:, -1] += by.sum(axis=0)
        if not by_inputs:
            return None
        inputs = _scatter(back_first @ first[:, :-1], n, shape.n_times, FIRST_REACH)
        return inputs.transpose(0, 2, 1).reshape(n, -1)


def _windows(signal: NDArray[Any], reach: int) -> NDArray[Any]:
    """Every time's neighbourhood in `signal` (n, times, channels): (n times, reach channels)."""
    n, times, channels = signal.shape
    padded = np.zeros((n, times + reach - 1, channels), signal.dtype)
    padded[:, reach // 2 : reach // 2 + times] = signal
    return sliding_window_view(padded, reach, axis=1).transpose(0, 1, 3, 2).reshape(n * times, reach * channels)


def _scatter(by_windows: NDArray[Any], n: int, times: int, reach: int) -> NDArray[Any]:
    """The transpose of `_windows`: (n, times, channels)."""
    parts = by_windows.reshape(n, times, reach, -1)
    padded = np.zeros((n, times + reach - 1, parts.shape[3]), by_windows.dtype)
    for k in range(reach):
        padded[:, k : k + times] += parts[:, :, k]
    return padded[:, reach // 2 : reach // 2 + times]


def _silu(a: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """silu(a) and its slope."""
    gate = 0.5 * (1 + np.tanh(0.5 * a))
    value = a * gate
    return value, gate + value * (1 - gate)
