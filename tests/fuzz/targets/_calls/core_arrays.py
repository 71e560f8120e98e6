"""Calls of the jobs of `_core` that take arrays alone: draws, permutations, objectives, and the two jobs of sampling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dualwalk import _core
from dualwalk.backends import reference

from .case import INT, WORD32, WORD64, Case, apart, block, floating, leaves, optional, real, whole, word
from .choices import Choices

PERMUTED = ("f4", "f8", "i8", "u1", "?", "f2", "i4", "c16", "c8", "S2", "M8[s]", "f4")


def rough(*arguments: Any) -> float:
    """Rounding of a float32 or a float64 job against the reference's float64."""
    return 2e-4 if any(array.dtype == np.float32 for array in leaves(list(arguments))) else 1e-9


def lies_on_words(array: Any) -> bool:
    """Whether every item lies where an integer of its size may; of complex numbers and records NumPy asks less."""
    bytes_each = min(array.dtype.itemsize, 8)
    steps = (stride for stride, length in zip(array.strides, array.shape, strict=True) if length > 1)
    return array.ctypes.data % bytes_each == 0 and all(step % bytes_each == 0 for step in steps)


def philox(choices: Choices) -> Case:
    shape = choices.one_of(((4,), (1, 4), (3, 4), (2, 3, 4), (0, 4), (65, 4)))
    counter = choices.whole(shape, 2**32, np.uint32)

    def fits(counter: Any, seed: Any) -> bool:
        lengths = np.shape(counter) if isinstance(counter, np.ndarray) else ()
        return len(lengths) > 0 and lengths[-1] == 4 and block(counter, np.uint32, *lengths) and whole(seed, 0, WORD64)

    return Case("philox", [counter, choices.seed()], fits, lambda counter, seed: [reference.philox(counter, int(seed))])


def draw_integers(choices: Choices) -> Case:
    bounds = 1 + choices.whole((choices.size(),), choices.one_of((2**32 - 1, 3, 2**31, 1)), np.uint32)
    given = [choices.seed(), choices.one_of((1, 2, 3)), choices.word(), choices.word(), bounds]

    def fits(seed: Any, operation: Any, copy: Any, number: Any, bounds: Any) -> bool:
        words = whole(seed, 0, WORD64) and whole(operation, 0, 255) and whole(copy, 0, WORD32) and whole(number, 0, WORD32)
        return bool(words and block(bounds, np.uint32, None) and (bounds > 0).all())

    def expected(seed: Any, *rest: Any) -> list[Any]:
        return [reference.draw_integers(int(seed), *map(int, rest[:3]), rest[3])]

    return Case("draw_integers", given, fits, expected)


def draw_normals(choices: Choices) -> Case:
    given = [choices.seed(), choices.one_of((0, 3, 2**32 - 300)), choices.size(100, least=0), choices.size(65, least=0)]

    def fits(seed: Any, first: Any, n_rows: Any, n_columns: Any) -> bool:
        words = whole(seed, 0, WORD64) and all(whole(number, 0, WORD32) for number in (first, n_rows, n_columns))
        return words and first + n_rows <= 2**32 and n_rows * n_columns < 2**60

    def expected(seed: Any, *rest: Any) -> list[Any]:
        return [reference.draw_normals(int(seed), *map(int, rest))]

    return Case("draw_normals", given, fits, expected, tolerance=lambda *_: 1e-12)


def permute_marginals(choices: Choices) -> Case:
    dtype = np.dtype(choices.one_of(PERMUTED))
    n_columns, copies = choices.size(choices.one_of((5, 33)), least=0), choices.one_of((1, 2, 1, 0))
    n_rows = choices.size(257 if n_columns * copies < 3 else 17, least=0)  # the reference goes row by row
    shape = (n_rows, n_columns) if not choices.rarely(4) else (n_rows, 2, n_columns)
    columns = math.prod(shape[1:])
    x = choices.whole(shape, 2**14, np.int64).astype(dtype)
    if choices.rarely(4):
        x = np.asfortranarray(x) if choices.rarely(2) else x[:, ::-1]
    names = choices.one_of(
        (np.arange(columns), np.arange(columns) // 8, np.zeros(columns), np.arange(columns) % 2 * (2**31 - 1))
    )
    longest = choices.one_of((28672, 1, 2, 8, 31, 100))
    out = np.zeros((copies, *shape), dtype)
    given = [x, names.astype(np.int32), choices.one_of((1, 2, 3)), choices.seed(), out, choices.n_threads(), longest]

    def fits(x: Any, number: Any, operation: Any, seed: Any, out: Any, n_threads: Any, longest: Any) -> bool:
        numbers = whole(operation, 1, 3) and whole(seed, 0, WORD64) and whole(n_threads, 1, INT) and whole(longest, 1, 28672)
        if not (numbers and isinstance(x, np.ndarray) and isinstance(out, np.ndarray) and x.ndim >= 2 and x.flags.aligned):
            return False
        if (
            x.dtype.hasobject
            or x.dtype.itemsize not in (1, 2, 4, 8, 16)
            or max(x.shape[0], out.shape[0] if out.ndim else 0) >= 2**32
        ):
            return False
        if not (lies_on_words(x) and lies_on_words(out)):
            return False
        free = out.ndim == x.ndim + 1 and block(out, x.dtype, None, *x.shape, writes=True) if x.dtype.isnative else False
        columns = math.prod(x.shape[1:])
        return free and block(number, np.int32, columns) and bool((number >= 0).all()) and apart(out, x, number)

    def expected(x: Any, number: Any, operation: Any, seed: Any, out: Any, n_threads: Any, longest: Any) -> list[Any]:
        if out.size:
            method = next(name for name, code in reference.OPERATIONS.items() if code == operation)
            flat = x.reshape(len(x), -1)
            reference.permute_marginals(flat, number, method, int(seed), out.reshape(len(out), *flat.shape), 1, int(longest))
        return [out]

    return Case("permute_marginals", given, fits, expected, written=(4,), returns=False)


def log_mean_exp(choices: Choices) -> Case:
    dtype, middle = choices.dtype(), choices.one_of((0, 0, 0, 4096, 4099))
    shape = (1, middle, 1) if middle else (choices.size(9, least=0), choices.size(), choices.size(33, least=0))
    f = choices.numbers(shape, dtype, special=True)
    weights = np.abs(choices.numbers(shape, dtype)) if choices.rarely(3) else None
    gradient = np.zeros(shape, dtype) if choices.rarely(2) else None

    def fits(f: Any, weights: Any, gradient: Any, n_threads: Any) -> bool:
        if not (floating(f) and block(f, f.dtype, None, None, None) and f.shape[1] > 0 and whole(n_threads, 1, INT)):
            return False
        if max(1, f.shape[0]) * max(1, f.shape[2]) > 2**40:  # the result has no room, even where f has no elements
            return False
        rest = optional(weights, f.dtype, *f.shape) and optional(gradient, f.dtype, *f.shape, writes=True)
        return rest and apart(gradient, f, weights)

    def expected(f: Any, weights: Any, gradient: Any, n_threads: Any) -> list[Any]:
        positive = weights is None or bool(
            (weights >= 0).all() and (weights.sum(axis=1) > 0).all() and np.isfinite(weights).all()
        )
        if not positive:  # numbers are the wrapper's to judge: see the public kernels
            return [None] * (1 + (gradient is not None))
        value = reference.log_mean_exp(f, weights, gradient, 1) if f.size else np.empty((f.shape[0], f.shape[2]))
        return [value, *([] if gradient is None else [gradient])]

    return Case("log_mean_exp", [f, weights, gradient, choices.n_threads()], fits, expected, written=(2,), tolerance=rough)


def log_mean_exp_segments(choices: Choices) -> Case:
    dtype, n = choices.dtype(), choices.size(9)
    lengths = 1 + choices.whole((n,), choices.one_of((3, 17, 70, 1)), np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    f = choices.numbers((int(offsets[-1]),), dtype, special=True)
    weights = np.abs(choices.numbers(f.shape, dtype)) if choices.rarely(3) else None
    gradient = np.zeros(f.shape, dtype) if choices.rarely(2) else None

    def fits(f: Any, offsets: Any, weights: Any, gradient: Any, n_threads: Any) -> bool:
        if not (floating(f) and block(f, f.dtype, None) and block(offsets, np.int64, None) and whole(n_threads, 1, INT)):
            return False
        whole_way = len(offsets) > 1 and offsets[0] == 0 and offsets[-1] == len(f) and bool((offsets[1:] > offsets[:-1]).all())
        rest = optional(weights, f.dtype, *f.shape) and optional(gradient, f.dtype, *f.shape, writes=True)
        return whole_way and rest and apart(gradient, f, offsets, weights)

    def expected(f: Any, offsets: Any, weights: Any, gradient: Any, n_threads: Any) -> list[Any]:
        if weights is not None and not (
            (weights >= 0).all() and np.isfinite(weights).all() and (np.add.reduceat(weights, offsets[:-1]) > 0).all()
        ):
            return [None] * (1 + (gradient is not None))
        value = reference.log_mean_exp_segments(f, offsets, weights, gradient, 1)
        return [value, *([] if gradient is None else [gradient])]

    given = [f, offsets, weights, gradient, choices.n_threads()]
    return Case("log_mean_exp_segments", given, fits, expected, written=(3,), tolerance=rough)


def mean_log_sigmoid(choices: Choices) -> Case:
    dtype = choices.dtype()
    f = choices.numbers((choices.one_of((choices.size(), 4097)),), dtype, special=True)
    gradient = np.zeros(f.shape, dtype) if choices.rarely(2) else None

    def fits(f: Any, sign: Any, gradient: Any, n_threads: Any) -> bool:
        if not (floating(f) and block(f, f.dtype, None) and len(f) > 0 and whole(n_threads, 1, INT)):
            return False
        signs = whole(sign, -1, 1) and int(sign) != 0
        return signs and optional(gradient, f.dtype, *f.shape, writes=True) and apart(gradient, f)

    def expected(f: Any, sign: Any, gradient: Any, n_threads: Any) -> list[Any]:
        value = reference.mean_log_sigmoid(f, int(sign), gradient, 1)
        return [value, *([] if gradient is None else [gradient])]

    given = [f, choices.one_of((1, -1)), gradient, choices.n_threads()]
    return Case("mean_log_sigmoid", given, fits, expected, written=(2,), tolerance=rough)


FUNCTIONS = {
    "exp": np.exp,
    "log": np.log,
    "log_one_plus": np.log1p,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "log_sigmoid": lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
}


def elementary(choices: Choices) -> Case:
    """What is outside a function's range is left out of the comparison: tests/test_elementary.py has its limits."""
    name, dtype = choices.one_of((*FUNCTIONS, "silu_slope")), choices.dtype()
    x = np.abs(choices.numbers((choices.size(),), dtype)) + dtype.type(0.01)

    def fits(name: Any, x: Any, out: Any) -> bool:
        ready = floating(x) and block(x, x.dtype, *x.shape) and block(out, x.dtype, *x.shape, writes=True)
        return word(name) and ready and apart(out, x)

    def expected(name: Any, x: Any, out: Any) -> list[Any]:
        text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
        most = 1.0 if text == "log_one_plus" else 80.0
        if text in FUNCTIONS and x.size and float(x.min()) > 0 and float(x.max()) < most:
            return [True, FUNCTIONS[text](x.astype(np.float64))]
        return [text in FUNCTIONS or text == "silu_slope", None]

    return Case("elementary", [name, x, np.zeros_like(x)], fits, expected, written=(2,), tolerance=lambda *_: 1e-5)


def limit(choices: Choices) -> Case:
    """For benchmarks: whatever it measures is a number above 0."""
    name = choices.one_of(("read", "write", "write_streaming", "copy", "copy_streaming", "multiply_add"))
    x = choices.numbers((choices.one_of((256, 1, 4096)),), choices.dtype())
    room = np.zeros(x.nbytes + 64, np.uint8)
    first = -room.ctypes.data % 64
    out = room[first : first + x.nbytes].view(x.dtype) if choices.rarely(2) or name[0] in "wc" else None

    def fits(name: Any, x: Any, out: Any, seconds: Any, n_threads: Any) -> bool:
        known = (word(name) and name in ("read", "multiply_add")) or (
            word(name) and name in ("write", "write_streaming", "copy", "copy_streaming") and out is not None
        )
        if not (known and floating(x) and block(x, x.dtype, *x.shape) and x.size and whole(n_threads, 1, INT)):
            return False
        lines = out is None or (block(out, x.dtype, *x.shape, writes=True) and out.ctypes.data % 64 == 0 and apart(out, x))
        return lines and real(seconds, 0.0, 60.0) and float(seconds) > 0

    given = [name, x, out, 1e-9, 1]
    return Case("limit", given, fits, lambda *_: [None, None] if _[2] is not None else [None], written=(2,), tolerance=rough)


def threads_for(choices: Choices) -> Case:
    work = float(choices.one_of((0.0, 1e3, 4e6, 1e9, 1e300, 8388608.0)))

    def fits(work: Any, n_threads: Any) -> bool:
        return real(work, 0.0) and whole(n_threads, 1, INT)

    def expected(work: Any, n_threads: Any) -> list[Any]:
        return [int(max(1, min(float(work) // (1 << 22), int(n_threads))))]

    return Case("threads_for", [work, choices.one_of((1, 2, 8, 2**31 - 1))], fits, expected, tolerance=lambda *_: 0.0)


def select_level(choices: Choices) -> Case:
    here = _core.levels()
    return Case(
        "select_level",
        [choices.one_of(here)],
        lambda name: word(name) and (name in here or name in ("", b"")),
        lambda *_: [],
        returns=False,
    )


def relax_local(choices: Choices) -> Case:
    dtype, n_points, d = choices.dtype(), choices.size(65), choices.size(65, least=0)
    points = choices.numbers((n_points, d), dtype, special=True)
    neighbors = choices.whole((choices.size(33, least=0), choices.size(17)), n_points, np.int64)

    def fits(points: Any, neighbors: Any, decay: Any, seed: Any, n_threads: Any) -> bool:
        if not (floating(points) and block(points, points.dtype, None, None) and block(neighbors, np.int64, None, None)):
            return False
        inside = neighbors.shape[1] > 0 and bool(((neighbors >= 0) & (neighbors < len(points))).all())
        return inside and real(decay, -1.0, 1.0) and whole(seed, 0, WORD64) and whole(n_threads, 1, INT)

    def expected(points: Any, neighbors: Any, decay: Any, seed: Any, n_threads: Any) -> list[Any]:
        if not np.isfinite(points).all() or np.abs(points).max(initial=0) > 1e4 or neighbors.shape[1] > 2**20:
            return [None]
        return [reference.relax_local(points, neighbors, float(decay), int(seed), 1)]

    given = [points, neighbors, choices.one_of((0.0, 0.5, 0.99, 1.0)), choices.seed(), choices.n_threads()]
    return Case("relax_local", given, fits, expected, tolerance=rough)


def balance_columns(choices: Choices) -> Case:
    dtype, n_rows, d = choices.dtype(), choices.size(least=0), choices.size(17, least=0)
    points = choices.numbers((n_rows, d), dtype, special=True)
    place = np.abs(choices.numbers((n_rows,), np.float64)) % 1.0
    table = np.sort(choices.numbers((choices.size(65), d), dtype), axis=0)
    tied = choices.whole((d,), 2, np.bool_)

    def fits(points: Any, place: Any, table: Any, tied: Any, n_threads: Any) -> bool:
        if not (floating(points) and block(points, points.dtype, None, None) and whole(n_threads, 1, INT)):
            return False
        m, d = points.shape
        rest = block(place, np.float64, m) and block(table, points.dtype, None, d) and block(tied, np.bool_, d)
        numbers = rest and bool(((place >= 0) & (place <= 1)).all() and (tied.view(np.uint8) <= 1).all())
        return numbers and len(table) > 0 and m < 2**31

    def expected(points: Any, place: Any, table: Any, tied: Any, n_threads: Any) -> list[Any]:
        if not np.isfinite(table).all() or np.abs(table).max(initial=0) > 1e4:
            return [None]
        # a position half way between two quantiles may fall to either by rounding
        return [reference.balance_columns(points, place, table, tied, 1) if not tied.any() else None]

    given = [points, place, table, tied, choices.n_threads()]
    return Case("balance_columns", given, fits, expected, tolerance=rough)


MAKERS = (
    *(permute_marginals, log_mean_exp, log_mean_exp_segments, mean_log_sigmoid, relax_local, balance_columns),
    *(permute_marginals, draw_integers, draw_normals, philox, elementary, threads_for, select_level),
)
