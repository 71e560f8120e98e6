"""How near `mutual_information` comes to known values: the BMI tasks with three peers, and families of its own.

    python benchmarks/bench_mutual_information.py [DATA_FOLDER] [--quick] [--no-peers] [--threads 2] [--output FILE]

DATA_FOLDER (or the environment variable DUALWALK_BENCH_DATA) holds bmi/bmi.npz: the 40 tasks of Czyz et al., "Beyond Normal"
(NeurIPS 2023; PyPI benchmark-mi, MIT), 2000 samples each, with `names`, `mi` (true, nats), `x_0`, `y_0`, ... Without it that
part is skipped. Errors are against the true mutual information; the luck of 2000 samples alone is about .02 nats.

Peers on the BMI tasks, on standardized columns: CCA (closed form, classical), KSG (Kraskov et al. 2004, first algorithm,
k = 5; SciPy), InfoNCE (PyTorch: a critic of 32 and 32 units on pairs, batches of 128, half of the rows held out for early
stopping, as its users do). A peer whose package is missing is skipped with a reason.

The families have a known f = log p(x, y) / p(x) p(y): the yardstick is the ORACLE, its mean over the very rows.
--quick: every fourth task, fewer seeds, about a minute.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _timing import Table, header

from dualwalk.information import MutualInformation, mutual_information

Peer = Callable[[np.ndarray, np.ndarray], float]
Draw = Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray, np.ndarray]]  # x, y, true f

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(200)
LOG_WEIGHTS = np.log(WEIGHTS / WEIGHTS.sum())


def standardized(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=0)) / x.std(axis=0)


def cca(x: np.ndarray, y: np.ndarray) -> float:
    """- 1/2 sum log(1 - r^2) over the sample's canonical correlations."""
    first, second = (np.linalg.qr(part - part.mean(axis=0))[0] for part in (x, y))
    r = np.linalg.svd(first.T @ second, compute_uv=False)
    return float(-0.5 * np.log1p(-(np.minimum(r, 1 - 1e-12) ** 2)).sum())


def ksg(x: np.ndarray, y: np.ndarray, k: int = 5) -> float:
    """Kraskov, Stoegbauer and Grassberger's first algorithm, largest norm."""
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    n = len(x)
    reach = cKDTree(np.hstack([x, y])).query(np.hstack([x, y]), k + 1, p=np.inf)[0][:, -1]
    reach = np.nextafter(reach, 0)
    near = [cKDTree(part).query_ball_point(part, reach, p=np.inf, return_length=True) for part in (x, y)]
    return float(digamma(k) + digamma(n) - np.mean(digamma(near[0]) + digamma(near[1])))


def info_nce(x: np.ndarray, y: np.ndarray, n_steps: int = 1000, batch: int = 128, width: int = 32) -> float:
    """One critic on pairs of rows; the bound on the half of the rows that also stopped the training, in batches."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    rows = [torch.tensor(part, dtype=torch.float32) for part in (x, y)]
    half = len(x) // 2
    first = [torch.nn.Linear(part.shape[1], width) for part in (x, y)]  # of a layer on the pair (x, y): the sum of both
    rest = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, 1))
    optimizer = torch.optim.Adam([*first[0].parameters(), *first[1].parameters(), *rest.parameters()], lr=2e-3)

    def bound(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        f = rest(first[0](a)[:, None] + first[1](b))[..., 0]
        return (f.diagonal() - torch.logsumexp(f, 1)).mean() + math.log(len(a))

    best, without = -math.inf, 0
    for step in range(1, n_steps + 1):
        chosen = torch.randperm(half)[:batch]
        optimizer.zero_grad()
        (-bound(rows[0][chosen], rows[1][chosen])).backward()
        optimizer.step()
        if step % 50 == 0:
            with torch.no_grad():
                parts = [slice(start, start + batch) for start in range(half, len(x) - batch + 1, batch)]
                score = float(torch.stack([bound(rows[0][part], rows[1][part]) for part in parts]).mean())
            without += 1
            if score > best:
                best, without = score, 0
            if without >= 6:
                break
    return best


def peers() -> dict[str, Peer]:
    found: dict[str, Peer] = {"CCA": cca}
    for name, module, peer in (("KSG", "scipy", ksg), ("InfoNCE", "torch", info_nce)):
        if importlib.util.find_spec(module):
            found[name] = peer
        else:
            print(f"{name} skipped: {module} is not installed")
    return found


def quiet(x: np.ndarray, y: np.ndarray, seed: int, threads: int) -> MutualInformation:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mutual_information(x, y, random_state=seed, n_threads=threads)


def bench_tasks(table: Table, path: Path, every: int, threads: int, with_peers: bool) -> None:
    """The BMI tasks: errors of ours and of the peers, and how often each peer is further off."""
    data = np.load(path)
    rivals = peers() if with_peers else {}
    errors: dict[str, list[float]] = {name: [] for name in ("dualwalk", *rivals)}
    seconds: dict[str, float] = dict.fromkeys(errors, 0.0)
    above = 0
    cpu_ours = 0.0
    for number in range(0, len(data["names"]), every):
        x, y = (np.asarray(data[f"{name}_{number}"], dtype=float) for name in "xy")
        truth = float(data["mi"][number])
        start, cpu = time.perf_counter(), time.process_time()
        found = quiet(x, y, 0, threads)
        seconds["dualwalk"] += time.perf_counter() - start
        cpu_ours += time.process_time() - cpu
        above += found.lower > truth
        results = {"dualwalk": found.estimate}
        for name, peer in rivals.items():
            start = time.perf_counter()
            results[name] = peer(standardized(x), standardized(y))
            seconds[name] += time.perf_counter() - start
        for name, value in results.items():
            errors[name].append(value - truth)
        shown = [f"{results[name]:.3f} ({results[name] - truth:+.3f})" for name in errors]
        table.row(str(data["names"][number]), f"{truth:.3f}", f"{found.lower:.3f}", *shown)
    ours = np.abs(errors["dualwalk"])
    table.add(
        "", "| | mean absolute error | largest | closer than it on | seconds, all tasks |", "| --- | --- | --- | --- | --- |"
    )
    for name, values in errors.items():
        size = np.abs(values)
        beaten = "" if name == "dualwalk" else f"{int((ours < size).sum())} of {len(size)}"
        table.row(name, f"{size.mean():.3f}", f"{size.max():.3f}", beaten, f"{seconds[name]:.1f}")
    table.add("", f"Lower limit above the truth: {above} of {len(ours)}. CPU seconds of dualwalk: {cpu_ours:.1f}.", "")


def normal_log_density(y: np.ndarray, mean: np.ndarray | float, sd: np.ndarray | float) -> np.ndarray:
    return -0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - 0.5 * math.log(2 * math.pi)


def gaussian_f(x: np.ndarray, y: np.ndarray, r: float) -> np.ndarray:
    return -0.5 * math.log(1 - r * r) + (2 * r * x * y - r * r * (x * x + y * y)) / (2 * (1 - r * r))


def log_sum_exp(values: np.ndarray, axis: int) -> np.ndarray:
    top = values.max(axis=axis, keepdims=True)
    return np.log(np.exp(values - top).sum(axis=axis)) + top.squeeze(axis)


def regression(mean: Callable[[np.ndarray], np.ndarray], sd: Callable[[np.ndarray], np.ndarray]) -> Draw:
    """x normal, y = mean(x) + sd(x) noise; p(y) by quadrature over x."""

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = rng.standard_normal(n)
        y = mean(x) + sd(x) * rng.standard_normal(n)
        grid = np.linspace(-6, 6, 4001)
        weight = -0.5 * grid**2 - log_sum_exp(-0.5 * grid**2, 0)
        marginal = log_sum_exp(normal_log_density(y[:, None], mean(grid), sd(grid)) + weight, 1)
        return x[:, None], y[:, None], normal_log_density(y, mean(x), sd(x)) - marginal

    return draw


def signs(pairs: int, r: float) -> Draw:
    """Every y is its x with a fair sign, and noise: no correlation anywhere."""

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = rng.standard_normal((n, pairs))
        y = np.where(rng.random((n, pairs)) < 0.5, r, -r) * x + math.sqrt(1 - r * r) * rng.standard_normal((n, pairs))
        f = np.logaddexp(gaussian_f(x, y, r), gaussian_f(x, y, -r)) - math.log(2)
        return x, y, f.sum(axis=1)

    return draw


def gaussian_pairs(columns: int, pairs: int, r: float) -> Draw:
    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, y = rng.standard_normal((n, columns)), rng.standard_normal((n, columns))
        y[:, :pairs] = r * x[:, :pairs] + math.sqrt(1 - r * r) * y[:, :pairs]
        return x, y, gaussian_f(x[:, :pairs], y[:, :pairs], r).sum(axis=1)

    return draw


def clusters(d: int, count: int, distance: float) -> Draw:
    """A hidden class moves the mean of both blocks; inside a class they are independent."""
    centres = np.random.default_rng(5).standard_normal((2, count, d)) * distance / math.sqrt(d)

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        label = rng.integers(0, count, n)
        x, y = (centres[b][label] + rng.standard_normal((n, d)) for b in range(2))
        near = [normal_log_density(part[:, None], centres[b], 1.0).sum(axis=2) for b, part in enumerate((x, y))]
        f = log_sum_exp(near[0] + near[1], 1) - log_sum_exp(near[0], 1) - log_sum_exp(near[1], 1) + math.log(count)
        return x, y, f

    return draw


def channel(levels: int, keep: float) -> Draw:
    """A symmetric channel between levels: ties only."""

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = rng.integers(0, levels, n)
        y = np.where(rng.random(n) < keep, x, (x + rng.integers(1, levels, n)) % levels)
        f = np.where(x == y, math.log(keep * levels), math.log((1 - keep) / (levels - 1) * levels))
        return x[:, None], y[:, None], f

    return draw


def shared_scale(d: int) -> Draw:
    """Uncorrelated columns times one log-normal scale; the densities by quadrature over the scale."""

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scale = np.exp(0.7 * rng.standard_normal((n, 1)))
        x, y = scale * rng.standard_normal((n, d)), scale * rng.standard_normal((n, d))

        def log_density(part: np.ndarray) -> np.ndarray:
            size, columns = (part**2).sum(axis=1)[:, None], part.shape[1]
            log_scale = 0.7 * NODES
            return log_sum_exp(-0.5 * size * np.exp(-2 * log_scale) - columns * log_scale + LOG_WEIGHTS, 1)

        return x, y, log_density(np.hstack([x, y])) - log_density(x) - log_density(y)

    return draw


def future(channels: int, past: int, ahead: int, memory: float) -> Draw:
    """Series of independent AR(1) channels, mixed: the past and the future, (n, channels, times)."""
    mix = np.linalg.qr(np.random.default_rng(9).standard_normal((channels, channels)))[0]

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        z = rng.standard_normal((n, channels, past + ahead))
        for t in range(1, past + ahead):
            z[:, :, t] = memory * z[:, :, t - 1] + math.sqrt(1 - memory**2) * z[:, :, t]
        f = gaussian_f(z[:, :, past - 1], z[:, :, past], memory).sum(axis=1)
        series = np.einsum("ab,nbt->nat", mix, z)
        return series[:, :, :past], series[:, :, past:], f

    return draw


FAMILIES: dict[str, Draw] = {
    "sine": regression(lambda x: np.sin(3 * x), lambda x: np.full_like(x, 0.3)),
    "noise that grows": regression(np.zeros_like, lambda x: np.exp(x)),
    "fair signs, 1 pair": signs(1, 0.9),
    "fair signs, 8 pairs": signs(8, 0.9),
    "1 pair of 30 columns": gaussian_pairs(30, 1, 0.8),
    "5 strong pairs": gaussian_pairs(5, 5, 0.9),
    "4 clusters, 6 + 6 columns": clusters(6, 4, 3.0),
    "channel of 5 levels": channel(5, 0.8),
    "shared scale, 4 + 4 columns": shared_scale(4),
    "future of 3 channels": future(3, 12, 6, 0.8),
    "independent, 5 + 5 columns": gaussian_pairs(5, 0, 0.0),
    "independent, 40 + 40 columns": gaussian_pairs(40, 0, 0.0),
}


def bench_families(table: Table, sizes: list[int], seeds: int, threads: int) -> None:
    """Medians over seeds of estimate - oracle and held-out - oracle, and how often the lower limit is above the truth."""
    above = runs = 0
    for name, draw in FAMILIES.items():
        truth = float(
            draw(100_000 if "noise" not in name and "sine" not in name else 20_000, np.random.default_rng(77))[2].mean()
        )
        for n in sizes:
            gaps, held, lower = [], [], []
            start = time.process_time()
            for seed in range(seeds):
                x, y, f = draw(n, np.random.default_rng(seed))
                found = quiet(x, y, seed, threads)
                gaps.append(found.estimate - f.mean())
                held.append(found.held_out - f.mean())
                lower.append(found.lower)
            above += sum(limit > truth for limit in lower)
            runs += seeds
            table.row(
                name,
                n,
                f"{truth:.2f}",
                f"{np.median(gaps):+.3f}",
                f"{min(gaps):+.3f} to {max(gaps):+.3f}",
                f"{np.median(held):+.3f}",
                f"{np.median(lower):.2f}",
                f"{(time.process_time() - start) / seeds:.2f}",
            )
    table.add("", f"Lower limit above the truth: {above} of {runs} runs.", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("DUALWALK_BENCH_DATA"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    lines = [header(given.threads), ""]
    print(lines[0], flush=True)
    path = Path(given.data) / "bmi" / "bmi.npz" if given.data else None
    if path is None or not path.exists():
        print(f"BMI tasks skipped: {path or 'no data folder given'}")
    else:
        names = ["dualwalk"] + ([] if given.no_peers else list(peers()))
        table = Table("BMI tasks, n = 2000: estimate (error), nats", ["task", "truth", "lower limit", *names])
        bench_tasks(table, path, 4 if given.quick else 1, given.threads, not given.no_peers)
        lines += table.lines
    columns = ["family", "n", "truth", "estimate - oracle, median", "range", "held out - oracle", "lower limit", "CPU s"]
    table = Table("Families of known f, nats", columns)
    bench_families(table, [500] if given.quick else [200, 500, 2000], 2 if given.quick else given.seeds, given.threads)
    lines += table.lines
    if given.output:
        given.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
