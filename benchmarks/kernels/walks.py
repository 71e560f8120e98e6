"""walk and anneal: MLP, local and mixture duals, from 1 walk to 1024, and what one small call costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import dualwalk as dw
from dualwalk.annealing import anneal
from dualwalk.duals.local_covariance import LocalCovariance
from dualwalk.duals.mixture import MixtureDual

from .case import Candidate, Case, Need, ours

N_WALKS = (1, 16, 64, 256, 1024)
N_STEPS = 20
STEP_SIZE = 0.05
N_POINTS = 270
CHECKED = 32  # walks that are compared with the float64 reference
T_START = 0.65


class Inputs(NamedTuple):
    dual: Any
    x0: np.ndarray
    shape: Any = None  # a preconditioner


@dataclass(frozen=True)
class Kind:
    """One dual function and how it is walked."""

    name: str
    job: str
    d: int
    make: Callable[[int, np.random.Generator], tuple[Any, Any]]  # (dual, preconditioner) for n walks
    operations: float  # of a step of one walk
    table: int  # bytes that a step of one walk reads twice, whatever the walks
    own: bool = False  # the bytes are the walk's own, not shared by all walks
    settings: tuple[tuple[str, Any], ...] = ()
    torch: Callable[[Any], Callable[[Any], Any]] | None = None  # (dual) -> (x -> gradient), in tensors
    n_walks: tuple[int, ...] = N_WALKS
    n_steps: int = N_STEPS


def run(kind: Kind, inputs: Inputs, n_steps: int, **where: Any) -> np.ndarray:
    dual, x0, shape = inputs
    if kind.job == "anneal_mixture":
        return anneal(dual, x0, t_start=T_START, n_steps=n_steps, seed=0, **where).x
    settings = dict(kind.settings) | {"step_size": STEP_SIZE, "preconditioner": shape}
    return dw.walk(dual, x0, n_steps=n_steps, seed=0, **settings, **where).x


def error(kind: Kind, inputs: Inputs, result: Any) -> float:
    """Largest difference from a float64 walk of the reference, relative to the largest distance walked."""
    dual, x0, shape = inputs
    first = np.arange(min(CHECKED, len(x0)))
    if getattr(dual, "n_walks", None) is not None:
        dual, shape = dual.select(first), shape.select(first) if shape is not None else None
    exact = run(kind, Inputs(dual, x0[first].astype(np.float64), shape), kind.n_steps, backend="reference")
    return float(np.abs(result[first] - exact).max() / np.abs(exact - x0[first]).max())


def mlp(*widths: int, n_walks: tuple[int, ...] = N_WALKS) -> Kind:
    def make(n: int, rng: np.random.Generator) -> tuple[Any, Any]:
        shapes = list(zip(widths[1:], widths[:-1], strict=True))
        weights = [rng.standard_normal(shape) / np.sqrt(shape[1]) for shape in shapes]
        return dw.MLPDual(weights, [np.zeros(len(weight)) for weight in weights]), None

    n_weights = sum(a * b for a, b in zip(widths[1:], widths[:-1], strict=True))
    return Kind(
        "MLP " + "-".join(map(str, widths)),
        "walk_mlp",
        widths[0],
        make,
        4 * n_weights,
        4 * n_weights,
        torch=torch_mlp,
        n_walks=n_walks,
    )


def torch_mlp(dual: Any) -> Callable[[Any], Any]:
    import torch

    layers = [torch.from_numpy(part.astype(np.float32)) for part in dual.weights]
    biases = [torch.from_numpy(part.astype(np.float32)) for part in dual.biases]

    def gradient(x: Any) -> Any:
        slopes = []
        for weight, bias in zip(layers[:-1], biases[:-1], strict=True):
            z = torch.nn.functional.linear(x, weight, bias)
            share = torch.sigmoid(z)
            x = z * share
            slopes.append(share + x * (1 - share))
        back = layers[-1] * slopes[-1]
        for weight, slope in zip(layers[-2:0:-1], slopes[-2::-1], strict=True):
            back = (back @ weight) * slope
        return back @ layers[0]

    return gradient


def local(k: int, d: int, *, shared: bool = False, langevin: bool = False, n_walks: tuple[int, ...] = N_WALKS) -> Kind:
    def make(n: int, rng: np.random.Generator) -> tuple[Any, Any]:
        points = rng.standard_normal((N_POINTS, d))
        neighbors = np.arange(k + 1) if shared else rng.random((n, N_POINTS)).argsort(axis=1)[:, : k + 1]
        shape = LocalCovariance(points, neighbors) if langevin else None
        return dw.LocalDual(points, neighbors, shrinkage=0.3), shape

    factors = 2 if langevin else 1  # the preconditioner has one of its own
    operations = 4 * d * (k + 2) * factors + (2 * d * (k + 1) if langevin else 0)
    return Kind(
        f"local d={d} K={k}" + (", one neighbourhood" if shared else "") + (", preconditioned Langevin" if langevin else ""),
        "walk_local",
        d,
        make,
        operations,
        4 * d * (k + 3) * factors,
        own=not shared,
        settings=(("noise", 1.0), ("base", "marginals")) if langevin else (),
        torch=None if langevin else torch_local,
        n_walks=n_walks,
    )


def torch_local(dual: Any) -> Callable[[Any], Any]:
    import torch

    mean, curvature, factor = (torch.from_numpy(getattr(dual, n).astype(np.float32)) for n in ("mean", "curvature", "factor"))
    if len(factor) == 1:
        mean, curvature, factor = mean[0], curvature[0], factor[0]
        return lambda x: curvature * (x - mean) + ((x - mean) @ factor.T) @ factor

    def gradient(x: Any) -> Any:
        y = x - mean
        return curvature * y + torch.einsum("nk,nkd->nd", torch.einsum("nkd,nd->nk", factor, y), factor)

    return gradient


def mixture(d: int, k: int, *, langevin: bool = False, annealed: bool = False, n_walks: tuple[int, ...] = N_WALKS) -> Kind:
    def make(n: int, rng: np.random.Generator) -> tuple[Any, Any]:
        roots = rng.standard_normal((k, d, d)) / np.sqrt(d)
        covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(d)
        return MixtureDual(np.ones(k), rng.standard_normal((k, d)), covariances, time=0.1), None

    return Kind(
        f"mixture d={d} K={k}" + (", Langevin" if langevin else "") + (", annealed" if annealed else ""),
        "anneal_mixture" if annealed else "walk_mixture",
        d,
        make,
        4 * k * d * d,
        4 * k * d * d,
        settings=(("noise", 1.0), ("base", "normal")) if langevin else (),
        torch=None if langevin or annealed else torch_mixture,
        n_walks=n_walks,
    )


def torch_mixture(dual: Any) -> Callable[[Any], Any]:
    import torch

    tables = dual.tables(np.array([dual.time]))
    axes = torch.from_numpy(np.ascontiguousarray(dual.axes.transpose(0, 2, 1), np.float32))
    centres, precisions, log_scales = (torch.from_numpy(part[0].astype(np.float32)) for part in tables)

    def gradient(x: Any) -> Any:
        z = torch.matmul(x, axes.transpose(1, 2)) - centres[:, None]
        weighted = z * precisions[:, None]
        share = torch.softmax(log_scales[:, None] - 0.5 * (z * weighted).sum(2), 0)
        return x - torch.matmul(weighted * share[:, :, None], axes).sum(0)

    return gradient


def torch_walk(kind: Kind, compiled: bool = False) -> Candidate:
    def prepare(inputs: Inputs, n_threads: int) -> Callable[[], np.ndarray]:
        import torch

        gradient = kind.torch(inputs.dual)

        def step(x: Any) -> Any:
            return x + STEP_SIZE * gradient(x)

        one = torch.compile(step) if compiled else step
        start = torch.from_numpy(inputs.x0)

        def call() -> np.ndarray:
            with torch.no_grad():
                x = start
                for _ in range(kind.n_steps):
                    x = one(x)
            return x.numpy()

        return call

    return Candidate(prepare, "torch", compiled=compiled)


def needs(kind: Kind, n: int, n_threads: int) -> tuple[Need, ...]:
    work = Need("float32", n * kind.n_steps * kind.operations)
    readers = (
        n if kind.own else min(n_threads, n)
    )  # every thread reads what all walks share at least once for each half of a step
    table = Need("read", readers * kind.n_steps * 2 * kind.table, n_threads * kind.table)
    if not kind.own:
        return work, table
    return work, table, Need("read", n * kind.table, n * kind.table)  # and once from where all neighbourhoods lie


def case(kind: Kind, n: int) -> Case:
    def make() -> Inputs:
        rng = np.random.default_rng(0)
        dual, shape = kind.make(n, rng)
        return Inputs(dual, rng.standard_normal((n, kind.d)).astype(np.float32), shape)

    def call(inputs: Inputs, backend: str, n_threads: int) -> np.ndarray:
        return run(kind, inputs, kind.n_steps, n_threads=n_threads, backend=backend)

    candidates = ours(call)
    if kind.torch is not None:
        candidates["PyTorch"] = torch_walk(kind)
        if kind.name == "MLP 300-128-1" and n in (1, 256):
            candidates["torch.compile"] = torch_walk(kind, compiled=True)
    return Case(
        kind.job,
        kind.name,
        f"{n} walk{'s' if n > 1 else ''}" + (", one step a call" if kind.n_steps == 1 else ""),
        n * (4 * kind.d + (kind.table if kind.own else 0)),
        "step of all walks",
        kind.n_steps,
        make,
        candidates,
        lambda n_threads: needs(kind, n, n_threads),
        lambda inputs, result: error(kind, inputs, result),
        "of the walk",
        quick=n == 16 and kind.name in {"MLP 300-128-1", "local d=300 K=20"},
        swept=("walks", n),
    )


def kinds() -> list[Kind]:
    some, many = (1, 64, 256), (256,)
    return [
        mlp(300, 128, 1),
        mlp(600, 128, 128, 1),
        mlp(600, 64, 64, 1),
        local(20, 300),
        local(20, 300, shared=True, n_walks=some),
        local(20, 300, langevin=True, n_walks=some),
        *(mlp(d, 128, 1, n_walks=many) for d in (75, 1200)),
        *(local(20, d, n_walks=many) for d in (24, 96, 1000, 2000)),
        local(160, 300, n_walks=many),
        mixture(62, 10),
        mixture(62, 10, langevin=True, n_walks=some),
        mixture(62, 10, annealed=True),
        mixture(16, 10, n_walks=many),
        mixture(256, 10, n_walks=some),
    ]


def one_step(kind: Kind) -> Kind:
    """The same in calls of a single step, where Python and the preparation of a call show."""
    return Kind(
        **{name: getattr(kind, name) for name in kind.__dataclass_fields__}
        | {"n_steps": 1, "name": f"{kind.name}, short calls"}
    )


def cases() -> list[Case]:
    found = [case(kind, n) for kind in kinds() for n in kind.n_walks]
    return [*found, case(one_step(mlp(300, 128, 1)), 64)]
