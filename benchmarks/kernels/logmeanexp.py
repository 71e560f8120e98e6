"""log_mean_exp and the objectives built on it: value, gradient, weights, along axes, over segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

import dualwalk as dw

from . import idioms
from .case import Candidate, Case, Need, count, ours, plain

SIZES = (1 << 8, 1 << 12, 1 << 16, 1 << 20, 1 << 24, 1 << 28)  # 1 KB to 1 GB of float32
QUICK = 1 << 16
BIG = 1 << 24
AXES: tuple[tuple[str, tuple[int, ...], int], ...] = (
    ("first axis", (4096, 4096), 0),
    ("last axis", (4096, 4096), 1),
    ("middle axis", (64, 512, 512), 1),
)
SEGMENTS = (16, 4096)  # mean lengths
LARGEST_CHECKED = BIG
CHECKED = 1 << 18  # entries of a gradient that are compared with float64


@dataclass
class Inputs:
    f: np.ndarray
    weights: np.ndarray | None = None
    offsets: np.ndarray | None = None
    axis: int | None = None

    @cached_property
    def exact(self) -> np.ndarray:
        """The value in float64."""
        wide, axis = self.f.astype(np.float64), self.axis
        if self.offsets is not None:
            starts, lengths = self.offsets[:-1], np.diff(self.offsets)
            largest = np.maximum.reduceat(wide, starts)
            return largest + np.log(np.add.reduceat(np.exp(wide - np.repeat(largest, lengths)), starts) / lengths)
        largest = wide.max(axis=axis, keepdims=True)
        terms = np.exp(wide - largest)
        if self.weights is None:
            mean = terms.mean(axis=axis)
        else:
            mean = (terms * self.weights).sum(axis=axis) / self.weights.sum(axis=axis, dtype=np.float64)
        return np.squeeze(largest, axis=axis) + np.log(mean)

    @cached_property
    def exact_gradient(self) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Some places spread over f, and the gradient there in float64."""
        flat = np.unique(np.linspace(0, self.f.size - 1, min(self.f.size, CHECKED)).astype(np.intp))
        places = np.unravel_index(flat, self.f.shape)
        value = self.exact if self.axis is None else np.expand_dims(self.exact, self.axis)
        n = self.f.size if self.axis is None else self.f.shape[self.axis]
        return places, np.exp(self.f[places] - np.broadcast_to(value, self.f.shape)[places]) / n

    @cached_property
    def exact_logistic(self) -> float:
        """Both terms of the logistic objective in float64."""
        wide = self.f.astype(np.float64)
        return float(sigmoid_terms(wide, 1)[0].mean() + sigmoid_terms(wide, -1)[0].mean())


def some(
    shape: int | tuple[int, ...],
    dtype: type = np.float32,
    *,
    weighted: bool = False,
    segment: int = 0,
    axis: int | None = None,
) -> Inputs:
    rng = np.random.default_rng(0)
    n = int(np.prod(shape))
    f = np.resize(3 * rng.standard_normal(min(n, BIG), dtype=np.float32), shape).astype(dtype, copy=False)
    offsets = None
    if segment:
        inner = np.unique(rng.integers(1, n, n // segment - 1))
        offsets = np.concatenate([[0], inner, [n]])
    weights = rng.random(n, dtype=np.float32).astype(dtype).reshape(shape) if weighted else None
    return Inputs(f, weights, offsets, axis)


def ulp(inputs: Inputs, result: Any) -> float:
    """Largest error of the value, in units in the last place."""
    if inputs.f.size > LARGEST_CHECKED:
        return float("nan")
    units = np.spacing(np.abs(inputs.exact).astype(inputs.f.dtype))
    return float(np.max(np.abs(np.asarray(result, np.float64) - inputs.exact) / units))


def gradient_error(inputs: Inputs, result: Any) -> float:
    """Largest error of some entries of the gradient, relative to the largest of them."""
    if inputs.f.size > LARGEST_CHECKED:
        return float("nan")
    places, truth = inputs.exact_gradient
    return float(np.abs(result[1][places] - truth).max() / truth.max())


def our(axis: int | None = None, gradient: bool = False) -> dict[str, Candidate]:
    def call(inputs: Inputs, backend: str, n_threads: int) -> Any:
        where: dict[str, Any] = {"axis": axis} if inputs.offsets is None else {"segments": inputs.offsets}
        settings = {"weights": inputs.weights, "return_gradient": gradient, "n_threads": n_threads, "backend": backend}
        return dw.log_mean_exp(inputs.f, **where, **settings)

    return ours(call)


def numpy_idiom(axis: int | None, gradient: bool) -> Candidate:
    def call(inputs: Inputs) -> Any:
        f, weights = inputs.f, inputs.weights
        largest = f.max(axis=axis, keepdims=True)
        terms = np.exp(f - largest)
        if weights is not None:
            terms *= weights
        total = terms.sum(axis=axis, keepdims=True)
        n = (f.size if axis is None else f.shape[axis]) if weights is None else weights.sum(axis=axis, keepdims=True)
        value = np.squeeze(largest + np.log(total / n), axis=axis)
        return (value, terms / total) if gradient else value

    return plain(call)


def scipy_peer(axis: int | None, gradient: bool) -> Candidate:
    def call(inputs: Inputs) -> Any:
        from scipy.special import logsumexp, softmax

        f, weights = inputs.f, inputs.weights
        n = (f.size if axis is None else f.shape[axis]) if weights is None else weights.sum(axis=axis)
        value = logsumexp(f, axis=axis, b=weights) - np.log(n)
        return (value, softmax(f, axis=axis)) if gradient else value

    return plain(call, "scipy")


def torch_peer(axis: int | None, gradient: bool, compiled: bool = False) -> Candidate:
    def prepare(inputs: Inputs, n_threads: int) -> Callable[[], Any]:
        import torch

        f = torch.from_numpy(inputs.f)
        log_weights = None if inputs.weights is None else torch.from_numpy(inputs.weights).log()
        dims = tuple(range(f.ndim)) if axis is None else (axis,)
        n = f.numel() if axis is None else f.shape[axis]

        def value(x: Any) -> Any:
            if log_weights is None:
                return torch.logsumexp(x, dims) - float(np.log(n))
            return torch.logsumexp(x + log_weights, dims) - torch.logsumexp(log_weights, dims)

        run = torch.compile(value) if compiled else value

        def call() -> Any:
            if not gradient:
                return run(f).numpy()
            x = f.detach().requires_grad_()
            result = run(x)
            return result.detach().numpy(), torch.autograd.grad(result.sum(), x)[0].numpy()

        return call

    return Candidate(prepare, "torch", compiled=compiled)


def torch_segments() -> Candidate:
    def prepare(inputs: Inputs, n_threads: int) -> Callable[[], Any]:
        import torch

        f, offsets = torch.from_numpy(inputs.f), torch.from_numpy(inputs.offsets)
        lengths = offsets.diff()

        def call() -> Any:
            largest = torch.segment_reduce(f, "max", offsets=offsets)
            terms = torch.exp(f - largest.repeat_interleave(lengths))
            return (largest + torch.segment_reduce(terms, "mean", offsets=offsets).log()).numpy()

        return call

    return Candidate(prepare, "torch")


def numpy_segments(inputs: Inputs) -> np.ndarray:
    starts, lengths = inputs.offsets[:-1], np.diff(inputs.offsets)
    largest = np.maximum.reduceat(inputs.f, starts)
    terms = np.exp(inputs.f - np.repeat(largest, lengths))
    return largest + np.log(np.add.reduceat(terms, starts) / lengths)


def flat(n: int, *, gradient: bool = False, dtype: type = np.float32, weighted: bool = False) -> Case:
    item = np.dtype(dtype).itemsize
    n_bytes = item * n
    form = ("with gradient" if gradient else "value") + ("" if dtype is np.float32 else ", float64")
    candidates = our(None, gradient) | {
        "NumPy": numpy_idiom(None, gradient),
        "PyTorch": torch_peer(None, gradient),
    }
    if n in (QUICK, BIG):
        candidates["torch.compile"] = torch_peer(None, gradient, compiled=True)
    if not (gradient and weighted):
        candidates["SciPy"] = scipy_peer(None, gradient)
    if not weighted:
        loop = idioms.log_mean_exp_gradient if gradient else idioms.log_mean_exp
        candidates["Numba idiom"] = plain(lambda inputs: loop(inputs.f), "numba", compiled=True)
    read = Need("read", n_bytes * (2 if weighted else 1), n_bytes)
    return Case(
        "log_mean_exp",
        form + (", weights" if weighted else ""),
        f"{count(n)} values",
        n_bytes,
        "value",
        n,
        partial(some, n, dtype, weighted=weighted),
        candidates,
        lambda n_threads: (read, Need("copy", 2 * n_bytes, n_bytes)) if gradient else (read,),
        gradient_error if gradient else ulp,
        "relative" if gradient else "ULP",
        quick=n == QUICK,
        swept=("bytes", n_bytes),
    )


def along(name: str, shape: tuple[int, ...], axis: int, gradient: bool) -> Case:
    n = int(np.prod(shape))
    read = Need("read", 4 * n, 4 * n)
    return Case(
        "log_mean_exp",
        name + (", with gradient" if gradient else ""),
        " x ".join(map(str, shape)),
        4 * n,
        "value",
        n,
        partial(some, shape, axis=axis),
        our(axis, gradient)
        | {"NumPy": numpy_idiom(axis, gradient), "SciPy": scipy_peer(axis, gradient), "PyTorch": torch_peer(axis, gradient)},
        lambda n_threads: (read, Need("copy", 8 * n, 4 * n)) if gradient else (read,),
        gradient_error if gradient else ulp,
        "relative" if gradient else "ULP",
    )


def in_segments(n: int, segment: int) -> Case:
    offsets = n // segment * 8
    return Case(
        "log_mean_exp_segments",
        f"segments of {segment}",
        f"{count(n)} values",
        4 * n,
        "value",
        n,
        partial(some, n, segment=segment),
        our()
        | {
            "NumPy": plain(numpy_segments),
            "PyTorch": torch_segments(),
            "Numba idiom": plain(lambda inputs: idioms.log_mean_exp_segments(inputs.f, inputs.offsets), "numba", compiled=True),
        },
        lambda n_threads: (Need("read", 4 * n + offsets, 4 * n),),
        ulp,
        "ULP",
        quick=n == QUICK,
        swept=("bytes", 4 * n),
    )


def sigmoid_terms(f: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """log sigmoid(sign f) and its derivative, in f's dtype."""
    small = np.exp(-np.abs(f))
    positive = sign * f >= 0
    return np.minimum(sign * f, 0) - np.log1p(small), sign * np.where(positive, small, 1) / (1 + small)


def objective_error(inputs: Inputs, result: Any) -> float:
    """Of the value, relative."""
    truth = inputs.exact_logistic
    return float(abs(float(result[0]) - truth) / abs(truth))


def logistic(n: int) -> Case:
    """Both terms of the logistic objective on the same values, with both gradients."""

    def numpy_idiom(inputs: Inputs) -> Any:
        terms = [sigmoid_terms(inputs.f, sign) for sign in (1, -1)]
        return sum(value.mean(dtype=np.float64) for value, _ in terms), *(slope / n for _, slope in terms)

    def scipy_peer(inputs: Inputs) -> Any:
        from scipy.special import expit, log_expit

        f = inputs.f
        value = log_expit(f).mean(dtype=np.float64) + log_expit(-f).mean(dtype=np.float64)
        return value, expit(-f) / n, -expit(f) / n

    def prepare(inputs: Inputs, n_threads: int) -> Callable[[], Any]:
        import torch

        both = [torch.from_numpy(inputs.f).clone().requires_grad_() for _ in range(2)]

        def call() -> Any:
            value = sum(torch.nn.functional.logsigmoid(sign * f).mean() for sign, f in zip((1, -1), both, strict=True))
            return value.detach().numpy(), *(g.numpy() for g in torch.autograd.grad(value, both))

        return call

    def call(inputs: Inputs, backend: str, n_threads: int) -> Any:
        return dw.logistic(inputs.f, inputs.f, n_threads=n_threads, backend=backend)

    return Case(
        "mean_log_sigmoid",
        "logistic objective with gradients",
        f"2 x {count(n)} values",
        8 * n,
        "value",
        2 * n,
        partial(some, n),
        ours(call) | {"NumPy": plain(numpy_idiom), "SciPy": plain(scipy_peer, "scipy"), "PyTorch": Candidate(prepare, "torch")},
        lambda n_threads: (Need("copy", 16 * n, 8 * n),),
        objective_error,
        quick=n == QUICK,
        swept=("bytes", 8 * n),
    )


def cases() -> list[Case]:
    found = [flat(n) for n in SIZES]
    found += [flat(n, gradient=True) for n in SIZES[1:]]
    found += [flat(BIG // 2, dtype=np.float64), flat(BIG // 2, gradient=True, dtype=np.float64)]
    found += [flat(BIG, weighted=True)]
    found += [along(name, shape, axis, gradient) for gradient in (False, True) for name, shape, axis in AXES]
    found += [in_segments(n, segment) for segment in SEGMENTS for n in (QUICK, BIG)]
    return found + [logistic(n) for n in (QUICK, BIG)]
