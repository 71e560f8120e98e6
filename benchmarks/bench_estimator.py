"""How near DualDivergence comes to a total correlation that is known, how often its limit holds, and how long it takes.

    python benchmarks/bench_estimator.py [--seeds 3] [--families chain factors] [--sizes 200 500] [--markdown]

Every family draws rows with a known density, so that two yardsticks exist: the true divergence, and the ORACLE, the mean of
the true f over the very rows the estimate has seen (much of estimate - truth is the luck of the rows). All in nats.

chain          AR(1)
warped         the chain through sinh(2 x): ranks must not care
factors        three common factors
blocks         equicorrelated blocks of four
signs 85 %     the chain, each step's sign kept with probability .85
signs 50 %     the chain with fair signs: no correlation anywhere
tree           a random tree, every edge with its own strength and sign probability, columns shuffled, sinh
levels         a Markov chain of five levels: ties only
bits           a Markov chain of two levels
triples        every third column takes the sign of the product of two others: no pair depends
independent    nothing to find

Set OPENBLAS_NUM_THREADS=1 for times on one core; --threads 1 trains one fold at a time.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Callable

import numpy as np

from dualwalk.estimator import DualDivergence

Draw = Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(120)


def solve(function: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Where the increasing `function` reaches `target`, by bisection."""
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < target else (low, middle)
    return (low + high) / 2


def edge_log_ratio(x: np.ndarray, y: np.ndarray, r: float, keep: float) -> np.ndarray:
    """log p(y | x) - log N(y; 0, 1) for y = +-r x + sqrt(1 - r^2) noise, + with probability `keep`."""
    s2 = 1 - r * r
    with np.errstate(divide="ignore"):
        same = np.log(keep) - (y - r * x) ** 2 / (2 * s2)
        turned = np.log1p(-keep) - (y + r * x) ** 2 / (2 * s2)
    return np.logaddexp(same, turned) - 0.5 * np.log(s2) + y * y / 2


def edge_information(r: float, keep: float) -> float:
    """Mutual information of such an edge, nats, by Gauss-Hermite quadrature."""
    x, noise = NODES[:, None], NODES[None, :]
    weight = WEIGHTS[:, None] * WEIGHTS[None, :] / (2 * np.pi)
    total = 0.0
    for sign, share in ((1, keep), (-1, 1 - keep)):
        if share:
            total += share * float((weight * edge_log_ratio(x, sign * r * x + np.sqrt(1 - r * r) * noise, r, keep)).sum())
    return total


def tree_rows(n: int, rng: np.random.Generator, parents: list[int], strength: np.ndarray, keep: np.ndarray) -> tuple:
    """Rows of a tree with standard normal columns, column k + 1 hanging on `parents[k]`, and their true f."""
    z = np.empty((n, len(parents) + 1))
    z[:, 0] = rng.standard_normal(n)
    f = np.zeros(n)
    for k, (parent, r, share) in enumerate(zip(parents, strength, keep, strict=True)):
        signs = np.where(rng.random(n) < share, r, -r)
        z[:, k + 1] = signs * z[:, parent] + np.sqrt(1 - r * r) * rng.standard_normal(n)
        f += edge_log_ratio(z[:, parent], z[:, k + 1], r, share)
    return z, f


def chain(d: int, total: float, keep: float = 1.0, warp: bool = False) -> tuple[float, Draw]:
    r = solve(lambda r: edge_information(r, keep), total / (d - 1), 1e-6, 0.99999)

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        z, f = tree_rows(n, rng, list(range(d - 1)), np.full(d - 1, r), np.full(d - 1, keep))
        return (np.sinh(2 * z) if warp else z), f

    return total, draw


def tree(d: int) -> tuple[float, Draw]:
    rng = np.random.default_rng(11)
    parents = [int(rng.integers(max(0, k - 6), k)) for k in range(1, d)]
    strength = rng.uniform(0.3, 0.85, d - 1) * rng.choice([-1, 1], d - 1)
    keep = rng.choice([1.0, 0.5, 0.8], d - 1)
    order = rng.permutation(d)
    truth = sum(edge_information(abs(r), share) for r, share in zip(strength, keep, strict=True))

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        z, f = tree_rows(n, rng, parents, strength, keep)
        return np.sinh(z[:, order]), f

    return truth, draw


def gaussian(d: int, total: float, kind: str) -> tuple[float, Draw]:
    loading = np.random.default_rng(7).standard_normal((d, 3))

    def correlation(strength: float) -> np.ndarray:
        if kind == "factors":
            covariance = strength**2 * loading @ loading.T + np.eye(d)
            scale = np.sqrt(np.diag(covariance))
            return covariance / np.outer(scale, scale)
        return strength * np.kron(np.eye(d // 4), np.ones((4, 4))) + (1 - strength) * np.eye(d)

    def divergence(strength: float) -> float:
        return -0.5 * float(np.linalg.slogdet(correlation(strength))[1])

    matrix = correlation(solve(divergence, total, 0.0, 50.0 if kind == "factors" else 0.9999)) if total else np.eye(d)
    factor, precision = np.linalg.cholesky(matrix), np.linalg.inv(matrix)

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        z = rng.standard_normal((n, d)) @ factor.T
        return z, total - 0.5 * np.einsum("ij,jk,ik->i", z, precision - np.eye(d), z)

    return total, draw


def markov(d: int, levels: int, stay: float) -> tuple[float, Draw]:
    step = np.full((levels, levels), (1 - stay) / (levels - 1))
    np.fill_diagonal(step, stay)
    truth = (d - 1) * float((step[0] * np.log(step[0] * levels)).sum())

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = np.empty((n, d), dtype=int)
        x[:, 0] = rng.integers(0, levels, n)
        f = np.zeros(n)
        for t in range(1, d):
            other = (x[:, t - 1] + rng.integers(1, levels, n)) % levels
            x[:, t] = np.where(rng.random(n) < stay, x[:, t - 1], other)
            f += np.log(step[x[:, t - 1], x[:, t]] * levels)
        return x, f

    return truth, draw


def triples(d: int) -> tuple[float, Draw]:
    truth = d // 3 * float(np.log(2))

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        z = rng.standard_normal((n, d))
        z[:, 2::3] = np.abs(z[:, 2::3]) * np.sign(z[:, 0::3] * z[:, 1::3])
        return z, np.full(n, truth)

    return truth, draw


FAMILIES: dict[str, list[tuple[int, Callable[[], tuple[float, Draw]]]]] = {
    "chain": [(32, lambda: chain(32, 8.0)), (8, lambda: chain(8, 2.0))],
    "warped": [(32, lambda: chain(32, 8.0, warp=True))],
    "factors": [(32, lambda: gaussian(32, 8.0, "factors")), (128, lambda: gaussian(128, 25.0, "factors"))],
    "blocks": [(32, lambda: gaussian(32, 8.0, "blocks"))],
    "signs 85 %": [(32, lambda: chain(32, 8.0, 0.85))],
    "signs 50 %": [(32, lambda: chain(32, 8.0, 0.5)), (128, lambda: chain(128, 25.0, 0.5))],
    "tree": [(32, lambda: tree(32))],
    "levels": [(32, lambda: markov(32, 5, 0.525))],
    "bits": [(32, lambda: markov(32, 2, 0.75))],
    "triples": [(30, lambda: triples(30))],
    "independent": [(32, lambda: gaussian(32, 0.0, "blocks")), (128, lambda: gaussian(128, 0.0, "blocks"))],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--sizes", nargs="+", type=int, default=[500, 200])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    blas = os.environ.get("OPENBLAS_NUM_THREADS", "default")
    print(f"NumPy {np.__version__}, {platform.machine()}, n_threads={options.threads}, OPENBLAS_NUM_THREADS={blas}")
    head = ["family", "d", "n", "truth", "oracle", "estimate", "est - oracle", "se", "lower", "lower < truth", "CPU s"]
    rule, edge = (" | ", ("| ", " |")) if options.markdown else ("  ", ("", ""))
    print(edge[0] + rule.join(f"{word:>13}" for word in head) + edge[1])
    if options.markdown:
        print("|" + "---|" * len(head))
    held = runs = 0
    for name in options.families:
        for d, build in FAMILIES[name]:
            truth, draw = build()
            for n in options.sizes:
                rows = []
                for seed in range(options.seeds):
                    X, f = draw(n, np.random.default_rng([seed, n, d]))
                    start = time.process_time()
                    model = DualDivergence(random_state=seed, n_threads=options.threads).fit(X)
                    seconds = time.process_time() - start
                    oracle = float(f.mean())
                    rows.append((oracle, model.divergence_, model.divergence_ - oracle, model.divergence_se_,
                                 model.divergence_lower_, seconds))  # fmt: skip
                below = sum(row[4] <= max(truth, 1e-9) for row in rows)
                held, runs = held + below, runs + len(rows)
                mean = np.mean(rows, axis=0)
                cells = [name, d, n, f"{truth:.2f}", *(f"{value:.2f}" for value in mean[:2]), f"{mean[2]:+.2f}"]
                cells += [f"{mean[3]:.2f}", f"{mean[4]:.2f}", f"{below} of {len(rows)}", f"{mean[5]:.1f}"]
                print(edge[0] + rule.join(f"{cell:>13}" for cell in cells) + edge[1], flush=True)
    print(f"\nmeans of {options.seeds} seeds; the lower limit was below the truth in {held} of {runs} runs")


if __name__ == "__main__":
    main()
