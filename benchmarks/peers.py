"""Other estimates of total correlation, for `bench_divergence.py`: each takes rows X (n, d) and a seed and returns nats.

copula       a Gaussian copula, covariance by Ledoit and Wolf (scikit-learn), mean log-ratio over held-out rows of 5 folds
kNN          Kraskov, Stoegbauer and Grassberger's estimate for d variables, k = 3, on normal scores (SciPy)
one-shot DV, NCE, max    one perceptron for all of x, as the literature trains it: our `_single`, without its safeguard
one-shot NCE, guarded    the same with f scaled down to what its samples support: DualDivergence(method="single")
torch MINE, torch NCE    the same perceptron in PyTorch, DV (Belghazi et al. 2018) or logistic loss, a held-out quarter

A peer whose package is missing is left out with its reason (`missing`).
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dualwalk import NormalScores, permute_marginals
from dualwalk._nodepath.fold import folds
from dualwalk._single import fit_single
from dualwalk._single.training import SinglePlan

Estimate = Callable[[NDArray, int], float]


def scores(X: NDArray) -> NDArray[np.float64]:
    return NormalScores().fit(X).transform(X)


def copula(X: NDArray, seed: int) -> float:
    from sklearn.covariance import ledoit_wolf

    z = scores(X)
    total = 0.0
    for rest, test in folds(len(z), 5, seed):
        matrix = ledoit_wolf(z[rest], assume_centered=True)[0]
        scale = np.sqrt(np.diag(matrix))
        matrix = matrix / np.outer(scale, scale)
        excess = np.linalg.inv(matrix) - np.eye(len(matrix))
        total += float(
            -0.5 * np.linalg.slogdet(matrix)[1] * len(test) - 0.5 * np.einsum("ni,ij,nj->", z[test], excess, z[test])
        )
    return total / len(z)


def nearest_neighbours(X: NDArray, seed: int, k: int = 3) -> float:
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    z = scores(X) + 1e-9 * np.random.default_rng(seed).standard_normal(X.shape)  # ties have no k-th neighbour
    n, d = z.shape
    radius = cKDTree(z).query(z, k + 1, p=np.inf)[0][:, -1]
    total = float(digamma(k) + (d - 1) * digamma(n))
    for column in z.T:
        ordered = np.sort(column)
        inside = np.searchsorted(ordered, column + radius, "left") - np.searchsorted(ordered, column - radius, "right") - 1
        total -= float(digamma(np.maximum(inside, 0) + 1).mean())
    return total


def one_shot(
    loss: str, *, guarded: bool = False, critic: str = "mlp", n_steps: int = 1500, patience: int = 10, cv: int = 5
) -> Estimate:
    plan = None if guarded else SinglePlan(n_negatives=1 if loss == "max" else 8, shrink=False)

    def estimate(X: NDArray, seed: int) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            z = scores(X.reshape(len(X), -1))
            fit = fit_single(
                z, folds(len(X), cv, seed), critic=critic, loss=loss, feature_shape=X.shape[1:], seed=seed, plan=plan
            )
        return float(fit.held_out.mean())

    return estimate


def torch_critic(X: NDArray, seed: int, loss: str, n_steps: int = 1500) -> float:
    """The DV value on a held-out quarter, at the step that is best on a validation eighth."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    z = scores(X).astype(np.float32)
    rng = np.random.default_rng(seed)
    test, held, train = np.split(z[rng.permutation(len(z))], [len(z) // 4, 3 * len(z) // 8])
    act = torch.nn.SiLU
    net = torch.nn.Sequential(
        torch.nn.Linear(z.shape[1], 64), act(), torch.nn.Linear(64, 64), act(), torch.nn.Linear(64, 1), torch.nn.Flatten(0)
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)

    def shuffled(rows: NDArray, copies: int) -> torch.Tensor:
        moved = permute_marginals(rows, n_copies=copies, seed=rng)
        return torch.from_numpy(moved.reshape(-1, z.shape[1]))

    def bound(rows: NDArray, negatives: torch.Tensor) -> torch.Tensor:
        f = net(negatives)
        return net(torch.from_numpy(rows)).mean() - (torch.logsumexp(f, 0) - np.log(len(f)))

    against, last = shuffled(held, 64), shuffled(test, 64)
    best, value, average = -np.inf, 0.0, None
    for step in range(n_steps):
        rows = train[rng.integers(0, len(train), 96)]
        f_p, f_q = net(torch.from_numpy(rows)), net(shuffled(train, 1))
        if loss == "nce":
            cost = torch.nn.functional.softplus(-f_p).mean() + torch.nn.functional.softplus(f_q).mean()
        else:
            mean = torch.exp(f_q).mean()
            average = mean.detach() if average is None else 0.99 * average + 0.01 * mean.detach()
            cost = mean / average - f_p.mean()  # the gradient of DV, its bias averaged away
        optimizer.zero_grad()
        cost.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        if step % 25 == 24:
            with torch.no_grad():
                score = float(bound(held, against))
                if score > best:
                    best, value = score, float(bound(test, last))
    return value


PEERS: dict[str, tuple[str, Estimate]] = {
    "Ledoit-Wolf copula": ("sklearn", copula),
    "kNN (KSG)": ("scipy", nearest_neighbours),
    "one-shot DV": ("", one_shot("dv")),
    "one-shot NCE": ("", one_shot("logistic")),
    "one-shot max": ("", one_shot("max")),
    "one-shot NCE, guarded": ("", one_shot("logistic", guarded=True)),
    "torch MINE": ("torch", partial(torch_critic, loss="dv")),
    "torch NCE": ("torch", partial(torch_critic, loss="nce")),
}


def missing(name: str) -> str | None:
    """Why a peer cannot run here, or None."""
    package = PEERS[name][0]
    if package and importlib.util.find_spec(package) is None:
        return f"{name} left out: {package} is not installed (pip install dualwalk[bench])"
    return None
