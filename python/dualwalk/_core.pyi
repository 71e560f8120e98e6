"""The compiled CPU kernels; call them through the package, which checks arguments."""

from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from .backends.reference import AnnealPlan, WalkPlan

_Float = TypeVar("_Float", np.float32, np.float64)
_Shape: TypeAlias = tuple[NDArray[np.floating], NDArray[np.floating] | None] | None
_Ends: TypeAlias = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]

def levels() -> list[str]: ...
def level() -> str: ...
def select_level(name: str) -> None: ...
def threads_for(work: float, n_threads: int) -> int: ...
def philox(counter: NDArray[np.uint32], seed: int) -> NDArray[np.uint32]: ...
def draw_integers(seed: int, operation: int, copy: int, block: int, bounds: NDArray[np.uint32]) -> NDArray[np.uint32]: ...
def permute_marginals(
    x: NDArray[np.generic],
    block: NDArray[np.int32],
    operation: int,
    seed: int,
    out: NDArray[np.generic],
    n_threads: int,
    longest: int = ...,
) -> None: ...
def log_mean_exp(
    f: NDArray[_Float], weights: NDArray[_Float] | None, gradient: NDArray[_Float] | None, n_threads: int
) -> NDArray[np.float64]: ...
def log_mean_exp_segments(
    f: NDArray[_Float],
    offsets: NDArray[np.int64],
    weights: NDArray[_Float] | None,
    gradient: NDArray[_Float] | None,
    n_threads: int,
) -> NDArray[np.float64]: ...
def mean_log_sigmoid(f: NDArray[_Float], sign: int, gradient: NDArray[_Float] | None, n_threads: int) -> float: ...
def elementary(name: str, x: NDArray[_Float], out: NDArray[_Float]) -> bool: ...
def limit(name: str, x: NDArray[_Float], out: NDArray[_Float] | None, seconds: float, n_threads: int) -> float: ...
def walk_mlp(
    x: NDArray[_Float],
    width: list[int],
    forward: list[NDArray[_Float]],
    backward: list[NDArray[_Float]],
    biases: list[NDArray[_Float]],
    last: NDArray[_Float],
    plan: WalkPlan,
    shape: _Shape,
) -> _Ends: ...
def walk_local(
    x: NDArray[_Float],
    mean: NDArray[_Float],
    curvature: NDArray[_Float],
    factor: NDArray[_Float],
    constant: NDArray[_Float],
    plan: WalkPlan,
    shape: _Shape,
) -> _Ends: ...
def walk_mixture(
    x: NDArray[_Float],
    forward: NDArray[_Float],
    backward: NDArray[_Float],
    starts: NDArray[_Float],
    precisions: NDArray[_Float],
    log_scales: NDArray[_Float],
    pull: float,
    constant: float,
    plan: WalkPlan,
    shape: _Shape,
) -> _Ends: ...
def anneal_mixture(
    x: NDArray[_Float],
    forward: NDArray[_Float],
    backward: NDArray[_Float],
    starts: NDArray[_Float],
    precisions: NDArray[_Float],
    log_scales: NDArray[_Float],
    pull: float,
    constant: float,
    plan: AnnealPlan,
) -> _Ends: ...
def train_nodes(
    weights: NDArray[_Float],
    first: NDArray[_Float],
    second: NDArray[_Float],
    count: int,
    child: NDArray[_Float],
    context: NDArray[_Float],
    statistics: NDArray[_Float],
    codes: NDArray[np.uint8],
    nodes: NDArray[np.int32],
    rows: NDArray[np.int32],
    flips: NDArray[np.uint8],
    rates: NDArray[np.float64],
    decay: float,
    longest: float,
    n_shifts: int,
    base: bool,
    n_threads: int,
) -> None: ...
def score_nodes(
    weights: NDArray[_Float],
    child: NDArray[_Float],
    context: NDArray[_Float],
    statistics: NDArray[_Float],
    codes: NDArray[np.uint8],
    n_rows: int,
    n_shifts: int,
    base: bool,
    n_threads: int,
) -> float: ...
def node_terms(
    weights: NDArray[_Float],
    child: NDArray[_Float],
    context: NDArray[_Float],
    statistics: NDArray[_Float],
    codes: NDArray[np.uint8],
    grid: NDArray[_Float],
    alphas: NDArray[np.float64],
    terms: NDArray[_Float],
    by_child: NDArray[_Float] | None,
    by_context: NDArray[_Float] | None,
    contrastive: bool,
    base: bool,
    n_threads: int,
) -> None: ...
def draw_normals(seed: int, first: int, n_rows: int, n_columns: int) -> NDArray[np.float64]: ...
def relax_local(
    points: NDArray[_Float], neighbors: NDArray[np.int64], decay: float, seed: int, n_threads: int
) -> NDArray[_Float]: ...
def balance_columns(
    points: NDArray[_Float], place: NDArray[np.float64], table: NDArray[_Float], tied: NDArray[np.bool_], n_threads: int
) -> NDArray[_Float]: ...
