"""Small networks along time that judge series (PyTorch): recurrent or convolutional, stopped early, seeded.

Everything runs on one thread, so that the same seed gives the same result; small steps gain nothing from more.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._random import generator
from ._optional import torch
from ._rows import Float

HIDDEN, LAYERS = 32, 2
MOST_STEPS = 48  # of a recurrent network: longer series are read in pieces of several times
BATCHES, SMALLEST_BATCH, LARGEST_BATCH = 8, 16, 64  # an epoch has eight batches, if they are neither too small nor too large
RATE = 4e-3
MOST_EPOCHS, PATIENCE = 60, 10
VALIDATION = 0.2  # share of the rows that says when to stop


@contextlib.contextmanager
def quiet_torch(seed: int) -> Iterator[Any]:
    """torch with one thread and its generator seeded; the caller's threads and generator are put back afterwards."""
    library = torch()
    n_threads = library.get_num_threads()
    with library.random.fork_rng(devices=[]):
        library.manual_seed(seed % 2**63)
        library.set_num_threads(1)
        try:
            yield library
        finally:
            library.set_num_threads(n_threads)


def as_series(rows: Float, shape: tuple[int, ...]) -> Float:
    """Rows as (n, n_channels, n_times); samples without channels are one channel."""
    return rows.reshape(len(rows), -1, shape[-1])


def in_pieces(series: Float) -> Float:
    """(n, n_channels, n_times) as (n, n_steps, n_channels * piece): at most 48 steps, the end padded with the last value."""
    n, n_channels, n_times = series.shape
    piece = -(-n_times // MOST_STEPS)
    padded = np.pad(series, ((0, 0), (0, 0), (0, -n_times % piece)), mode="edge")
    return np.moveaxis(padded.reshape(n, n_channels, -1, piece), 2, 1).reshape(n, -1, n_channels * piece)


def recurrent(library: Any, n_inputs: int, n_outputs: int, hidden: int, n_layers: int) -> Any:
    """Layers of gated recurrent units, and a linear map of the states of the last one."""
    nn = library.nn
    return nn.ModuleDict(
        {"gru": nn.GRU(n_inputs, hidden, num_layers=n_layers, batch_first=True), "out": nn.Linear(hidden, n_outputs)}
    )


def convolutional(library: Any, n_channels: int, n_times: int, hidden: int) -> Any:
    """Three convolutions along time, every second time kept, the mean over time, and a linear map."""
    nn = library.nn
    layers: list[Any] = []
    width = n_channels
    for _ in range(3):
        stride = 2 if n_times >= 8 else 1
        layers += [nn.Conv1d(width, hidden, 5, stride=stride, padding=2), nn.GroupNorm(4, hidden), nn.GELU()]
        n_times, width = -(-n_times // stride), hidden
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(hidden, 1))


def train(
    library: Any,
    model: Any,
    loss: Callable[[Any], Any],
    n_rows: int,
    stream: np.random.Generator,
    strata: NDArray[np.intp] | None = None,
) -> None:
    """Adam on mini-batches of `loss(row indices)`; the weights of the epoch that was best on a fifth of the rows are kept.

    With `strata`, every class has its share among that fifth.
    """
    order = stream.permutation(n_rows)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    every = round(1 / VALIDATION)
    aside = np.arange(n_rows) % every == 0
    held, fit = order[aside], order[~aside]
    size = int(np.clip(len(fit) // BATCHES, SMALLEST_BATCH, LARGEST_BATCH))
    adam = library.optim.Adam(model.parameters(), lr=RATE)
    best, best_state, since = np.inf, copy.deepcopy(model.state_dict()), 0
    for _ in range(MOST_EPOCHS):
        model.train()
        stream.shuffle(fit)
        for begin in range(0, len(fit), size):
            adam.zero_grad()
            loss(fit[begin : begin + size]).backward()
            library.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
        model.eval()
        with library.no_grad():
            now = float(loss(held))
        if now < best:
            best, best_state, since = now, copy.deepcopy(model.state_dict()), 0
        else:
            since += 1
            if since > PATIENCE:
                break
    model.load_state_dict(best_state)
    model.eval()


class SeriesClassifier:
    """Tells series of class 1 from series of class 0, in the manner of scikit-learn: `fit(X, y)`, `predict(X)` on rows.

    kind : "gru" (recurrent layers; the mean of the states decides: the last alone forgets) or "convolution".
    shape : of a sample, (n_times,) or (n_channels, n_times).
    """

    def __init__(self, kind: str, shape: tuple[int, ...], seed: int, hidden: int = HIDDEN, n_layers: int = LAYERS) -> None:
        torch()  # a missing package is reported before any work
        self.kind, self.shape, self.seed, self.hidden, self.n_layers = kind, shape, seed, hidden, n_layers

    def fit(self, X: Float, y: NDArray[np.intp]) -> SeriesClassifier:
        series = as_series(X, self.shape)
        self._center = series.mean(axis=(0, 2), keepdims=True)
        deviation = series.std(axis=(0, 2), keepdims=True)
        self._scale = np.where(deviation > 0, deviation, 1.0)
        with quiet_torch(self.seed) as library:
            inputs = self._inputs(library, X)
            target = library.as_tensor(np.asarray(y, dtype=np.float32))
            if self.kind == "gru":
                self._model = recurrent(library, inputs.shape[2], 1, self.hidden, self.n_layers)
            else:
                self._model = convolutional(library, inputs.shape[1], inputs.shape[2], self.hidden)
            stream = generator(self.seed, "metrics", "network")

            def loss(rows: NDArray[np.intp]) -> Any:
                return library.nn.functional.binary_cross_entropy_with_logits(self._logits(inputs[rows]), target[rows])

            train(library, self._model, loss, len(X), stream, np.asarray(y, dtype=np.intp))
        return self

    def predict(self, X: Float) -> NDArray[np.intp]:
        with quiet_torch(self.seed) as library, library.no_grad():
            logits: Float = self._logits(self._inputs(library, X)).numpy()
        return (logits > 0).astype(np.intp)

    def _inputs(self, library: Any, X: Float) -> Any:
        series = (as_series(X, self.shape) - self._center) / self._scale
        return library.as_tensor((in_pieces(series) if self.kind == "gru" else series).astype(np.float32))

    def _logits(self, inputs: Any) -> Any:
        if self.kind == "gru":
            states, _ = self._model["gru"](inputs)
            return self._model["out"](states.mean(dim=1))[:, 0]
        return self._model(inputs)[:, 0]


class NextStep:
    """Predicts the next value of some channels from what others (or all) were so far: a recurrent network, mean |error|."""

    def __init__(self, seed: int, hidden: int = HIDDEN, n_layers: int = LAYERS) -> None:
        torch()
        self.seed, self.hidden, self.n_layers = seed, hidden, n_layers

    def fit(self, past: Float, following: Float) -> NextStep:
        """past (n, n_steps, n_inputs), following (n, n_steps, n_targets)."""
        with quiet_torch(self.seed) as library:
            inputs, target = (library.as_tensor(x.astype(np.float32)) for x in (past, following))
            self._model = recurrent(library, past.shape[2], following.shape[2], self.hidden, self.n_layers)
            with library.no_grad():  # start from the mean, which is far from 0 in some channels
                self._model["out"].bias.copy_(target.mean(dim=(0, 1)))

            def loss(rows: NDArray[np.intp]) -> Any:
                return (self._predicted(inputs[rows]) - target[rows]).abs().mean()

            train(library, self._model, loss, len(past), generator(self.seed, "metrics", "network"))
        return self

    def errors(self, past: Float, following: Float) -> Float:
        """The mean absolute error of every row."""
        with quiet_torch(self.seed) as library, library.no_grad():
            predicted = self._predicted(library.as_tensor(past.astype(np.float32))).numpy()
        error: Float = np.abs(predicted - following).mean(axis=(1, 2))
        return error

    def _predicted(self, inputs: Any) -> Any:
        return self._model["out"](self._model["gru"](inputs)[0])
