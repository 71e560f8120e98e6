"""Scores from distances: does generated data fill the room that real data fill, and does it keep away from copies?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._blas import one_blas_thread
from .._neighbors import squared_distances
from ._rows import Float, Units, read, read_like, thin

RANKS = (1, 2, 5)  # the nearest training rows that a judge of memorization looks at
COPIES = 0.05  # a generated row nearer than this quantile of the held-out rows is a copy
FLOOR = 1e-3  # added to a distance before its logarithm: copies are near, not infinitely near


@dataclass(frozen=True)
class ManifoldScores:
    """Precision, recall, density and coverage.

    Attributes
    ----------
    precision : share of generated rows inside the ball of some real row.
    recall : share of real rows inside the ball of some generated row.
    density : balls of real rows that hold a generated row, over k, mean; 1 for a perfect generator, on average.
    coverage : share of real rows with a generated row in their ball.
    """

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True)
class Authenticity:
    """How far generated rows keep from the training rows, beside what held-out rows do.

    Attributes
    ----------
    ratio : median distance of generated rows to the nearest training row over that of held-out rows. 1 is perfect, 0 is for
        copies, above 1 for noise; inf where the median held-out row has a double in the training rows and generated have not.
    share : share of generated rows that are farther from their nearest training row than that row is from its own nearest.
    held_out_share : the same share of held-out rows: what a perfect generator gets.
    copies : share of generated rows nearer to a training row than the nearest 5 % of held-out rows; .05 is perfect.
    """

    ratio: float
    share: float
    held_out_share: float
    copies: float


def distances(a: Float, b: Float) -> Float:
    return np.sqrt(squared_distances(a, b))


def radius(rows: Float, k: int) -> Float:
    """Distance of every row to its k-th nearest other row."""
    between = squared_distances(rows, rows)
    np.fill_diagonal(between, np.inf)
    return np.sqrt(np.partition(between, k - 1, axis=1)[:, k - 1])


def nearest_other(rows: Float, chosen: NDArray[np.intp]) -> Float:
    """Distance of the chosen rows to the nearest other row; never more than as many rows as are chosen times all."""
    places, back = np.unique(chosen, return_inverse=True)
    between = squared_distances(rows[places], rows)
    between[np.arange(len(places)), places] = np.inf
    nearest: Float = np.sqrt(between.min(axis=1))[back]
    return nearest


def manifold_of(real: Float, generated: Float, k: int) -> ManifoldScores:
    """The four scores of rows in common units."""
    between = distances(real, generated)
    in_real = between < radius(real, k)[:, None]
    in_generated = between < radius(generated, k)
    return ManifoldScores(
        precision=float(in_real.any(axis=0).mean()),
        recall=float(in_generated.any(axis=1).mean()),
        density=float(in_real.sum(axis=0).mean() / k),
        coverage=float(in_real.any(axis=1).mean()),
    )


def authenticity_of(generated: Float, train: Float, held_out: Float, quantile: float = COPIES) -> Authenticity:
    """The scores of rows in common units."""
    nearest, share = [], []
    for rows in (generated, held_out):
        between = squared_distances(rows, train)
        place = between.argmin(axis=1)
        nearest.append(np.sqrt(between[np.arange(len(rows)), place]))
        share.append(float((nearest[-1] > nearest_other(train, place)).mean()))
    made, held = nearest
    middle_made, middle_held = float(np.median(made)), float(np.median(held))
    ratio = middle_made / middle_held if middle_held > 0 else (1.0 if middle_made == 0 else float("inf"))
    return Authenticity(ratio, share[0], share[1], float((made < np.quantile(held, quantile)).mean()))


def training_distances(rows: Float, train: Float) -> Float:
    """Log distances to the 1st, 2nd and 5th nearest training row (to the last, where there are fewer), (n, 3)."""
    places = [min(rank, len(train)) - 1 for rank in RANKS]
    between = distances(rows, train)
    between.partition(places, axis=1)
    return np.log(between[:, places] + FLOOR)


@one_blas_thread()
def manifold_scores(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    k: int = 5,
    train: ArrayLike | None = None,
    n_max: int = 2000,
    random_state: int = 0,
) -> ManifoldScores:
    """Precision, recall, density and coverage: where the balls around the rows of one side meet the rows of the other.

        ball of row i = all points nearer to it than its k-th nearest neighbour on its own side

    Parameters
    ----------
    real, generated : arrays (n, n_features) or (n, n_channels, n_times), finite, any real dtype, more than k rows each; not
        changed. Take real rows that the generator never saw.
    k : neighbours that set the radius.
    train : rows whose columns give the units of distance, one standard deviation each; None: `real`.
    n_max : of more rows on a side, as many are drawn.
    random_state : of that draw; nothing else is random, and the same arguments give the same bits.

    Returns
    -------
    ManifoldScores with `.precision`, `.recall`, `.density` and `.coverage`.

    Raises TypeError or ValueError for arrays that cannot be used, before any work.

    Source: Kynkaanniemi et al. 2019 (precision, recall); Naeem et al. 2020 (density, coverage).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((400, 3))
    >>> found = manifold_scores(x[:200], x[200:])
    >>> bool(found.coverage > 0.9 and manifold_scores(x[:200], x[200:] + 9).coverage < 0.1)
    True
    """
    k = _checks.count(k, "k", minimum=1)
    n_max = _checks.count(n_max, "n_max", minimum=k + 1)
    seed = _checks.seed(random_state, "random_state")
    (a, b), shape = read({"real": real, "generated": generated})
    if k >= min(len(a), len(b)):
        raise ValueError(
            f"k must be below the number of rows of either side, {len(a)} and {len(b)}; got {k} (pass a smaller one)"
        )
    scaled = Units.of(a if train is None else read_like(train, "train", shape))
    return manifold_of(scaled(thin(a, n_max, seed, "real")), scaled(thin(b, n_max, seed, "generated")), k)


@one_blas_thread()
def authenticity(
    generated: ArrayLike,
    train: ArrayLike,
    held_out: ArrayLike,
    *,
    quantile: float = COPIES,
    n_max: int = 2000,
    random_state: int = 0,
) -> Authenticity:
    """Whether generated rows are copies of the training rows, noise far from them, or as far off as new real rows are.

    Parameters
    ----------
    generated, train, held_out : arrays (n, n_features) or (n, n_channels, n_times), finite, any real dtype, at least two rows
        each; not changed. Distances are in standard deviations of the training columns.
    quantile : of the held-out rows' distances: generated rows below it count as copies.
    n_max : of more generated or held-out rows, as many are drawn; the training rows are always all looked at.
    random_state : of that draw; nothing else is random, and the same arguments give the same bits.

    Returns
    -------
    Authenticity with `.ratio`, `.share`, `.held_out_share` and `.copies`.

    Raises TypeError or ValueError for arrays that cannot be used, before any work.

    Source: the share is that of Alaa et al. 2022 (ICML).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((300, 3))
    >>> bool(authenticity(x[:100], x[:100], x[100:200]).ratio < 1e-6)         # copies
    True
    >>> bool(0.7 < authenticity(x[200:], x[:100], x[100:200]).ratio < 1.4)    # new rows
    True
    """
    quantile = _checks.real(quantile, "quantile", above=0.0, below=1.0)
    n_max = _checks.count(n_max, "n_max", minimum=2)
    seed = _checks.seed(random_state, "random_state")
    (made, known, held), _ = read({"generated": generated, "train": train, "held_out": held_out})
    scaled = Units.of(known)
    made, held = thin(made, n_max, seed, "generated"), thin(held, n_max, seed, "held_out")
    return authenticity_of(scaled(made), scaled(known), scaled(held), quantile)
