"""What the kernels are meant to reach, and what they reached in this run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .results import Results, Row

NUMBA_AT_MOST = 5.0  # times as long as native
ULP_AT_MOST = 2.0
TRAINED_OPERATIONS = 60e9  # a second, one thread


@dataclass(frozen=True)
class Goal:
    """One number to reach; None where this run did not measure it."""

    what: str
    wanted: str
    reached: str
    met: bool | None


def per_unit(row: Row) -> float | None:
    return row.ours.median / row.n_units if row.ours else None


def _goal(what: str, wanted: float, value: float | None, *, least: bool, shown: Callable[[float], str]) -> Goal:
    sign = "at least" if least else "at most"
    if value is None:
        return Goal(what, f"{sign} {shown(wanted)}", "not measured", None)
    return Goal(what, f"{sign} {shown(wanted)}", shown(value), value >= wanted if least else value <= wanted)


def times(value: float) -> str:
    return f"{value:.3g} times"


def percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def goals(results: Results) -> list[Goal]:
    """All goals, those of this run's jobs first measured, in the order of the jobs."""
    found: list[Goal] = []

    def of(case: str, get: Callable[[Row], float | None], n_threads: int = 1) -> float | None:
        row = results.row(case, n_threads)
        return get(row) if row else None

    def most(what: str, wanted: float, value: float | None, shown: Callable[[float], str] = times) -> None:
        found.append(_goal(what, wanted, value, least=False, shown=shown))

    def least(what: str, wanted: float, value: float | None, shown: Callable[[float], str] = times) -> None:
        found.append(_goal(what, wanted, value, least=True, shown=shown))

    def nanoseconds(value: float) -> str:
        return f"{1e9 * value:.3g} ns"

    def microseconds(value: float) -> str:
        return f"{1e6 * value:.3g} us"

    def over_limit(row: Row) -> float | None:
        return None if row.share is None else 1 / row.share

    shuffled = "permute_marginals: shuffle, 512 x 8192"
    most("shuffle 512 x 8192, an element, 1 thread", 1.5e-9, of(shuffled, per_unit), nanoseconds)
    for case in (
        "shuffle, 512 x 8192",
        "shuffle, 64 copies, 64 x 512 x 1024",
        "shuffle, 4096 x 8192",
        "shuffle, tall, 1000000 x 64",
        "shuffle, blocks of 12 columns, 512 x 8184",
    ):
        name = f"permute_marginals: {case}"
        least(f"{case}: NumPy over ours", 10, of(name, lambda row: row.times_as_fast("NumPy")))
        least(f"{case}: PyTorch over ours", 100, of(name, lambda row: row.times_as_fast("PyTorch")))
    least("shuffle 512 x 8192, 2 threads over 1", 1.9, results.speedup(shuffled, 2))
    most("resample 512 x 8192, an element", 1e-9, of("permute_marginals: resample, 512 x 8192", per_unit), nanoseconds)
    shifted = of("permute_marginals: shift, 512 x 8192", lambda row: row.times_as_fast("a copy"))
    least("shift 512 x 8192, share of the speed of a copy", 0.7, shifted, percent)

    for n_threads, wanted in ((1, 1.6), (2, 1.3)):
        case = "log_mean_exp: value, 16 M values"
        most(f"log_mean_exp of 16 M, {n_threads} thread(s), over reading once", wanted, of(case, over_limit, n_threads))
    most(
        "log_mean_exp of 16 M with gradient, over two reads and a write",
        1.6,
        of("log_mean_exp: with gradient, 16 M values", over_limit),
    )
    for form in (
        "first axis, 4096 x 4096",
        "middle axis, 64 x 512 x 512",
        "segments of 16, 16 M values",
        "segments of 4096, 16 M values",
    ):
        most(
            f"log_mean_exp, {form}, over reading once",
            1.6,
            of(f"log_mean_exp{'_segments' if form.startswith('segments') else ''}: {form}", over_limit),
        )
    errors = [row.ours.error for row in results if row.error_unit == "ULP" and row.ours and row.ours.error is not None]
    most("log_mean_exp, largest error", ULP_AT_MOST, max(errors, default=None), lambda value: f"{value:.2g} ULP")

    for dual in ("300-128-1", "600-128-128-1", "600-64-64-1"):
        for n, wanted in ((1, 15e-6), (64, 80e-6)):
            walks = f"{n} walk{'s' if n > 1 else ''}"
            if dual == "300-128-1":
                most(f"MLP {dual}, {walks}, a step", wanted, of(f"walk_mlp: MLP {dual}, {walks}", per_unit), microseconds)
        for n in (256, 1024):
            case = f"walk_mlp: MLP {dual}, {n} walks"
            least(f"MLP {dual}, {n} walks, share of the limit", 0.75, of(case, lambda row: row.share), percent)
        least(f"MLP {dual}, 1024 walks, 2 threads over 1", 1.9, results.speedup(f"walk_mlp: MLP {dual}, 1024 walks", 2))
    for case in (
        "walk_local: local d=300 K=20, 256 walks",
        "walk_local: local d=300 K=20, one neighbourhood, 256 walks",
        "walk_local: local d=300 K=20, preconditioned Langevin, 256 walks",
        "walk_mixture: mixture d=62 K=10, 256 walks",
        "walk_mixture: mixture d=256 K=10, 256 walks",
        "anneal_mixture: mixture d=62 K=10, annealed, 256 walks",
    ):
        least(f"{case.partition(': ')[2]}, share of the limit", 0.7, of(case, lambda row: row.share), percent)

    for kind in ("density", "contrastive"):
        case = f"train_{kind}: steps, 32 nodes x 96 rows"
        row = results.row(case)
        rate = row.operations / row.ours.median if row and row.ours else None
        least(f"training, {kind} node, operations", TRAINED_OPERATIONS, rate, lambda value: f"{value / 1e9:.0f} GFLOP/s")
        least(f"training, {kind} node, 2 threads over 1", 1.8, results.speedup(case, 2))

    ratios = [(row.numba_over_native, row.case) for row in results if row.numba_over_native is not None and row.n_threads == 1]
    worst, case = max(ratios, default=(None, ""))
    most(f"Numba over native, the worst case{f' ({case})' if case else ''}", NUMBA_AT_MOST, worst)
    return found
