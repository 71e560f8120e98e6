"""Small fitted models and the like, made once, for the calls and the words of the table."""

from __future__ import annotations

import io
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import dualwalk as dw

X = np.random.default_rng(0).normal(size=(16, 4)).cumsum(axis=1)
Y = np.arange(16) % 2
SERIES = np.random.default_rng(1).normal(size=(16, 2, 3)).cumsum(axis=2)


@cache
def divergence() -> dw.DualDivergence:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dw.DualDivergence(cv=2, n_fits=1, nodes="density", random_state=0, n_threads=1).fit(X)


@cache
def sampler(walk: str = "local") -> dw.DualSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dw.DualSampler(walk, random_state=0).fit(X, Y)


@cache
def scores() -> dw.NormalScores:
    return dw.NormalScores().fit(X)


@cache
def node_dual() -> dw.NodeDual:
    dual = divergence().dual_
    assert isinstance(dual, dw.NodeDual)
    return dual


@cache
def mlp() -> dw.MLPDual:
    rng = np.random.default_rng(2)
    return dw.MLPDual([rng.normal(size=(3, 4)), rng.normal(size=(1, 3))], [np.zeros(3), np.zeros(1)])


@cache
def local() -> dw.LocalDual:
    return dw.LocalDual(X, np.arange(7), shrinkage=0.3)


@cache
def covariance() -> dw.LocalCovariance:
    return dw.LocalCovariance(X, np.arange(7), shrinkage=0.3)


@cache
def mixture() -> dw.MixtureDual:
    return dw.MixtureDual([0.4, 0.6], X[:2], [np.eye(4)] * 2)


def graph() -> dw.DependenceGraph:
    found = divergence().dependence_graph_
    assert found is not None
    return found


@cache
def axes() -> Any:
    from matplotlib.figure import Figure

    return Figure().subplots()


@cache
def folder() -> Path:
    return Path(tempfile.mkdtemp())


def saved() -> io.BytesIO:
    """A stream with the file of a model."""
    stream = io.BytesIO()
    scores().save(stream)
    stream.seek(0)
    return stream


class Bowl:
    """A dual function of the caller's own."""

    def value_and_gradient(self, x: Any) -> tuple[Any, Any]:
        return -(x**2).sum(axis=1) / 2, -x


class Step:
    """A callback."""

    def __call__(self, done: int, total: int, text: str) -> None:
        pass
