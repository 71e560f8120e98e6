"""How true DualDivergence is: against known divergences, against peers, on real data, and how often its limit holds.

    python benchmarks/bench_divergence.py [DATA_FOLDER] [--quick] [--parts table limits ...] [--out benchmarks/results]

Writes divergence-DATE.md (all parts in one file) and divergence-DATE.png (error against the number of rows) into `--out`.
Estimates are judged by est - oracle, the ORACLE being the mean of the true f over the very rows that the estimate has seen
(`families.py`). All in nats, medians of `--seeds` paired seeds.

table     every family, with the goals of the project
limits    lower limits of 200 runs over all families: how often below the truth, how far below the oracle
nothing   independent columns: what is read, and whether the permutation p-value is uniform
peers     other estimates on the same rows (`peers.py`)
samples   rows that a one-shot critic needs for the error that the node path has at 200, and the picture
real      held-out divergence of real sets: the embedded one, and DATA_FOLDER's *.npz (X_train (n, channels, times)); also read
          from DUALWALK_BENCH_DATA
time      seconds of a fit, and its memory at d = 4096

Set OPENBLAS_NUM_THREADS=1. --quick: one seed, fewer families and sizes, about 2 minutes.
"""

from __future__ import annotations

import argparse
import datetime
import os
import resource
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from _timing import Table, header
from divergence_picture import Curves, draw
from families import ADDED, FAMILIES
from numpy.typing import NDArray
from peers import PEERS, missing, one_shot, scores

from dualwalk import DualDivergence, load_japanese_vowels
from dualwalk._nodepath.fold import folds
from dualwalk._single import fit_single
from dualwalk._single.training import SinglePlan
from dualwalk.independence import independence_test

FOUR = ("chain", "factors", "signs 85 %", "fair signs")
SAMPLE_FAMILIES = (*FOUR, "tree", "chain d=8")
PEER_FAMILIES = (*FOUR, "tree", "chain d=8", "factors d=128", "triples", "scales", "levels", *ADDED, "independent")


@dataclass(frozen=True)
class Goal:
    """Families, and for every number of rows how near the oracle the estimate shall come."""

    families: tuple[str, ...]
    within: dict[int, float | None]
    share: float = 0.0  # or: the share of the oracle that shall be read


GOALS = (
    Goal(FOUR, {200: 0.25, 500: 0.12}),
    Goal(tuple(f"{name} warped" for name in FOUR), {200: 0.25, 500: 0.12}),
    Goal(("tree", "tree warped"), {200: 0.5, 500: 0.2}),
    Goal(tuple(f"{name} d=8" for name in FOUR), {200: 0.07, 500: 0.04}),
    Goal(tuple(f"{name} d=128" for name in FOUR), {500: 0.35}),
    Goal(tuple(f"{name} d=128 TC=60" for name in FOUR), {500: 0.7}),
    Goal(("triples",), {200: None, 500: 0.8}),
    Goal(("scales",), {400: None}, share=0.88),
    Goal(("levels",), {200: None, 500: None}, share=0.9),
    Goal(("blocks", "bits", *ADDED), {200: None, 500: None}),
)


@dataclass(frozen=True)
class Run:
    """One fit."""

    truth: float
    oracle: float
    estimate: float
    held_out: float
    se: float
    lower: float
    seconds: float


@cache
def family(name: str) -> tuple:
    return FAMILIES[name]()


def rows_of(name: str, n: int, seed: int) -> tuple[NDArray, NDArray]:
    return family(name)[1](n, np.random.default_rng([seed, n]))


@cache
def run(name: str, n: int, seed: int, threads: int) -> Run:
    X, f = rows_of(name, n, seed)
    start = time.process_time()
    model = DualDivergence(random_state=seed, n_threads=threads).fit(X)
    seconds = time.process_time() - start
    held_out = float(np.mean(model.dual_values_))
    return Run(
        family(name)[0], float(f.mean()), model.divergence_, held_out, model.divergence_se_, model.divergence_lower_, seconds
    )


def middle(values: list[float]) -> float:
    return float(np.median(values))


def table_part(options: argparse.Namespace) -> Table:
    """Every family and its goal."""
    table = Table(
        f"Families of known divergence, medians of {options.seeds} seeds",
        ["family", "n", "truth", "oracle", "estimate", "est - oracle", "goal", "held-out - oracle", "lower", "held", "CPU s"],
    )
    reached = asked = 0
    for goal in GOALS:
        for name in goal.families[:: 3 if options.quick else 1]:
            for n, within in goal.within.items():
                if options.quick and n == 200:
                    continue
                runs = [run(name, n, seed, options.threads) for seed in range(options.seeds)]
                error, oracle = middle([r.estimate - r.oracle for r in runs]), middle([r.oracle for r in runs])
                wanted = "-" if within is None else f"{within:g}"
                good = within is None or abs(error) <= within
                if goal.share and n >= 400:
                    wanted, good = f"read {goal.share:.0%}", oracle + error >= goal.share * oracle
                asked += wanted != "-"
                reached += wanted != "-" and good
                wanted += "" if wanted == "-" else " yes" if good else " **no**"
                below = sum(r.lower <= r.truth for r in runs)
                cells = [runs[0].truth, oracle, middle([r.estimate for r in runs])]
                table.row(
                    name, n, *(f"{v:.2f}" for v in cells), f"{error:+.2f}", wanted,
                    f"{middle([r.held_out - r.oracle for r in runs]):+.2f}", f"{middle([r.lower for r in runs]):.2f}",
                    f"{below} of {len(runs)}", f"{middle([r.seconds for r in runs]):.1f}",
                )  # fmt: skip
    table.add("", f"{reached} of {asked} goals reached.")
    return table


def limits_part(options: argparse.Namespace) -> Table:
    """Lower limits over all families."""
    names = [name for name in FAMILIES if "d=128" not in name and "warped" not in name]
    table = Table(
        "Lower limits", ["n", "families", "runs", "below the truth", "oracle - lower - 2 SE, median", "least", "largest"]
    )
    for n in (200, 500):
        wanted = 5 if options.quick else 100
        runs = [run(names[k % len(names)], n, 100 + k // len(names), options.threads) for k in range(wanted)]
        held = [r.lower <= max(r.truth, 1e-9) for r in runs]
        gaps = [r.oracle - r.lower - 2 * r.se for r in runs]
        table.row(
            n, len({*names[:wanted]}), len(runs), f"{np.mean(held):.1%}", f"{middle(gaps):+.2f}", f"{min(gaps):+.2f}",
            f"{max(gaps):+.2f}",
        )  # fmt: skip
    return table


def nothing_part(options: argparse.Namespace) -> Table:
    """Independent columns."""
    table = Table("Independent columns", ["family", "n", "estimate, per 32 columns", "lower", "least and largest estimate"])
    for name in ("independent", "independent levels", "independent rain", "independent d=128"):
        for n in (200, 500)[: 1 if options.quick else 2]:
            runs = [run(name, n, seed, options.threads) for seed in range(options.seeds)]
            width = rows_of(name, 8, 0)[0].shape[1] / 32
            values = [r.estimate / width for r in runs]
            lower = middle([r.lower for r in runs])
            table.row(name, n, f"{middle(values):+.3f}", f"{lower:+.3f}", f"{min(values):+.3f} to {max(values):+.3f}")
    count = 100 if options.quick else 400
    table.add("", "Permutation test on independent columns (p-values should be uniform):", "")
    table.add("| family | n | tests | p <= .05 | p <= .5 | p-value of uniformity |", "| --- | --- | --- | --- | --- | --- |")
    for name, n in (("independent", 40), ("independent levels", 40)):
        p = np.array(
            [independence_test(rows_of(name, n, k)[0], n_permutations=99, random_state=k).p_value for k in range(count)]
        )
        table.row(name, n, count, f"{np.mean(p <= 0.05):.3f}", f"{np.mean(p <= 0.5):.3f}", f"{_uniform(p):.2f}")
    return table


def _uniform(p: NDArray) -> str | float:
    """p-value of a Kolmogorov-Smirnov test that p-values k / 100 are uniform (conservative, as they are discrete)."""
    count = len(p)
    gap = max(abs(np.mean(p <= level) - level) for level in np.arange(1, 101) / 100)
    root = np.sqrt(count) * gap
    return (
        float(min(1.0, 2 * sum((-1) ** (k - 1) * np.exp(-2 * k * k * root * root) for k in range(1, 101))))
        if root > 0.2
        else 1.0
    )


def peers_part(options: argparse.Namespace) -> Table:
    """Other estimates on the same rows."""
    here = [name for name in PEERS if missing(name) is None]
    table = Table(
        f"est - oracle of peers at n = 500, medians of {options.seeds} seeds", ["family", "oracle", "node path", *here]
    )
    for name in PEER_FAMILIES[:: 7 if options.quick else 1]:
        found: dict[str, list[float]] = {peer: [] for peer in here}
        runs = [run(name, 500, seed, options.threads) for seed in range(options.seeds)]
        for seed, own in enumerate(runs):
            X, _ = rows_of(name, 500, seed)
            for peer in here:
                found[peer].append(PEERS[peer][1](X, seed) - own.oracle)
        errors = [f"{middle(values):+.2f}" for values in found.values()]
        own_error = middle([r.estimate - r.oracle for r in runs])
        table.row(name, f"{middle([r.oracle for r in runs]):.2f}", f"**{own_error:+.2f}**", *errors)
    table.add("", *(str(missing(name)) for name in PEERS if missing(name)))
    return table


def samples_part(options: argparse.Namespace) -> tuple[Table, list[Curves]]:
    """How many rows the one-shot critic needs for the error of the node path at 200 rows."""
    own_sizes, sizes = (100, 200, 500, 1000), (200, 500, 1000, 2000, 4000, 8000, 16000)
    names: tuple[str, ...] = SAMPLE_FAMILIES
    if options.quick:
        own_sizes, sizes, names = (200,), (500, 2000, 8000), SAMPLE_FAMILIES[:1]
    table = Table(
        "Rows for equal error: the node path at n = 200 against the one-shot NCE critic, |est - oracle|, medians",
        ["family", "node path at 200", *(f"NCE at {n}" for n in sizes), "rows for equal error", "ratio"],
    )
    curves = []
    for name in names:
        nodes = {n: middle([_error(run(name, n, s, options.threads)) for s in range(options.seeds)]) for n in own_sizes}
        nce = {n: middle([abs(_nce_error(name, n, s)) for s in range(options.seeds)]) for n in sizes}
        copula = {}
        if missing("Ledoit-Wolf copula") is None:
            copula = {n: middle([_copula_error(name, n, s) for s in range(options.seeds)]) for n in own_sizes}
        needed = _crossing(nce, nodes[200])
        text = f"more than {max(sizes)}" if needed is None else f"{needed:.0f}"
        ratio = f"> {max(sizes) // 200}" if needed is None else f"{needed / 200:.0f}"
        table.row(name, f"{nodes[200]:.2f}", *(f"{value:.2f}" for value in nce.values()), text, ratio)
        curves.append(Curves(name, {"node path": nodes, "one-shot NCE": nce, "Ledoit-Wolf copula": copula}))
    table.add(
        "",
        "(Wider layers, larger batches and smaller steps changed the NCE critic's values at 8000 and 16000 by less than .15.)",
    )
    return table, curves


def _error(r: Run) -> float:
    return abs(r.estimate - r.oracle)


def _copula_error(name: str, n: int, seed: int) -> float:
    X, f = rows_of(name, n, seed)
    return abs(PEERS["Ledoit-Wolf copula"][1](X, seed) - float(f.mean()))


def _nce_error(name: str, n: int, seed: int) -> float:
    """est - oracle of the one-shot NCE critic over its held-out rows; of many rows, two of the five folds are enough."""
    X, f = rows_of(name, n, seed)
    parts = folds(n, 5, seed)[: 5 if n < 4000 else 2]
    plan = SinglePlan(n_steps=6000, patience=20, shrink=False)
    fit = fit_single(scores(X), parts, loss="logistic", feature_shape=X.shape[1:], seed=seed, plan=plan)
    return float(np.mean([np.mean(fit.held_out[test] - f[test]) for _, test in parts]))


def _crossing(errors: dict[int, float], target: float) -> float | None:
    """The number of rows at which the error falls to `target` for good, interpolated on logarithms; None: not reached."""
    sizes = sorted(errors)
    if errors[sizes[-1]] > target:
        return None
    above = [n for n in sizes if errors[n] > target]
    if not above:
        return float(sizes[0])
    a = above[-1]
    b = sizes[sizes.index(a) + 1]
    share = (np.log(errors[a]) - np.log(target)) / (np.log(errors[a]) - np.log(max(errors[b], 1e-6)))
    return float(np.exp(np.log(a) + share * (np.log(b) - np.log(a))))


def real_part(options: argparse.Namespace) -> Table:
    """Held-out divergence of real sets."""
    sets = {"vowels": load_japanese_vowels().X}
    folder = options.data or os.environ.get("DUALWALK_BENCH_DATA")
    for path in sorted(Path(folder).glob("*.npz")) if folder else []:
        sets[path.stem] = np.load(path)["X_train"]
    here = [name for name in ("Ledoit-Wolf copula", "one-shot NCE, guarded") if missing(name) is None]
    table = Table(
        "Real sets: divergence held out, nats",
        ["set", "shape", "node path", "SE", "lower", "corrected", *here, "one-shot NCE, conv", "p independent", "CPU s"],
    )
    conv = one_shot("logistic", guarded=True, critic="conv", cv=2)
    for name, X in list(sets.items())[: 1 if options.quick else None]:
        X = np.asarray(X, np.float64)
        start = time.process_time()
        model = DualDivergence(random_state=0, n_threads=options.threads).fit(X)
        seconds = time.process_time() - start
        flat = X.reshape(len(X), -1)
        others = [f"{PEERS[peer][1](flat, 0):.1f}" for peer in here] + [f"{conv(X, 0):.1f}"]
        p = independence_test(X, n_permutations=99, random_state=0).p_value
        cells = [
            f"{v:.1f}" for v in (model.divergence_held_out_, model.divergence_se_, model.divergence_lower_, model.divergence_)
        ]
        table.row(name, " x ".join(map(str, X.shape)), f"**{cells[0]}**", *cells[1:], *others, f"{p:.2f}", f"{seconds:.1f}")
    if not folder:
        table.add("", "Other sets left out: no data folder (pass one, or set DUALWALK_BENCH_DATA).")
    return table


def time_part(options: argparse.Namespace) -> Table:
    """Wall and processor seconds of a fit."""
    table = Table("Time of a fit", ["data", "folds", "n_threads", "wall s, best of 3", "CPU s", "peak memory, MiB"])
    cases = [("factors d=128", 500, 2, 1), ("factors d=128", 500, 5, 1), ("factors d=128", 500, 5, 2), ("wide", 500, 5, 2)]
    for name, n, cv, threads in cases[: 2 if options.quick else None]:
        command = [sys.executable, str(Path(__file__).resolve()), "--one-fit", name, str(n), str(cv), str(threads)]
        wall, cpu, memory = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        data = f"{name}, n = {n}" if name != "wide" else f"4096 columns, three factors, n = {n}"
        table.row(data, cv, threads, wall, cpu, memory)
    return table


def one_fit(name: str, n: int, cv: int, threads: int) -> None:
    """In a process of its own: print wall seconds (best of 3), processor seconds, peak memory in MiB."""
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((n, 3)) @ rng.standard_normal((3, 4096)) + 2 * rng.standard_normal((n, 4096))
    X = wide if name == "wide" else rows_of(name, n, 0)[0]
    best, cpu = np.inf, 0.0
    for _ in range(1 if name == "wide" else 3):
        wall, start = time.perf_counter(), time.process_time()
        DualDivergence(cv=cv, random_state=0, n_threads=threads).fit(X)
        if time.perf_counter() - wall < best:
            best, cpu = time.perf_counter() - wall, time.process_time() - start
    print(f"{best:.2f} {cpu:.2f} {_peak_memory():.0f}")


def _peak_memory() -> float:
    """MiB of this process alone: where the system tells it, not getrusage's number, which a process inherits."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


PARTS = {
    "table": table_part, "limits": limits_part, "nothing": nothing_part, "peers": peers_part,
    "samples": samples_part, "real": real_part, "time": time_part,
}  # fmt: skip


def main() -> None:
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["--one-fit"]:
        one_fit(sys.argv[2], *map(int, sys.argv[3:6]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", help="folder of npz files with X_train")
    parser.add_argument("--quick", action="store_true", help="one seed, fewer families and sizes")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results"))
    options = parser.parse_args()
    options.seeds = 1 if options.quick else options.seeds
    today = datetime.date.today().isoformat()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"divergence-{today}.md"
    shown = "python benchmarks/bench_divergence.py " + " ".join(sys.argv[1:])
    lines = [f"# DualDivergence, {today}", "", header(options.threads), "", f"`{shown.strip()}`", ""]
    for name in options.parts:
        result = PARTS[name](options)
        table, curves = result if isinstance(result, tuple) else (result, None)
        print(flush=True)
        lines += [*table.lines, ""]
        if curves:
            why = draw(curves, path.with_suffix(".png"))
            lines += [why or f"![error against the number of rows]({path.with_suffix('.png').name})", ""]
        path.write_text("\n".join(lines))
    print(f"written: {path}")


if __name__ == "__main__":
    main()
