"""Every checker of this room refuses what is broken, and takes what is not. In the plain suite, since it is quick."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import stats

import dualwalk as dw
from dualwalk import dualspace

from . import alarms, bias, fits, laws, noise, orders, sampling, slopes, walks
from .ledger import LEVEL, MOST_P_VALUES, Ledger

N = 20_000


def is_refused(found: Mapping[str, float]) -> bool:
    try:
        Ledger().accept("what is asked", found)
    except AssertionError:
        return True
    return False


# ---- the book


def test_the_book_refuses_small_p_values_nan_and_more_than_it_is_made_for() -> None:
    assert not is_refused({"a": LEVEL, "b": 1.0})
    assert is_refused({"a": 0.9 * LEVEL})
    assert is_refused({"a": float("nan")})
    assert is_refused({str(k): 0.5 for k in range(MOST_P_VALUES + 1)})


# ---- orders


def shuffled(n_copies: int, n_rows: int, n_columns: int, seed: int) -> orders.Integers:
    sources = np.broadcast_to(np.arange(n_rows)[:, None], (n_copies, n_rows, n_columns))
    return np.random.default_rng(seed).permuted(sources, axis=1)


def swapped(partner: Callable[[np.random.Generator, int, tuple[int, ...]], Any]) -> orders.Draw:
    """Swaps down the rows, each with the row that `partner` draws for it."""

    def draw(n_copies: int, n_rows: int, n_columns: int, seed: int) -> orders.Integers:
        rng, many = np.random.default_rng(seed), n_copies * n_columns
        flat, each = np.tile(np.arange(n_rows), (many, 1)), np.arange(many)
        for row in range(n_rows - 1, 0, -1):
            other = partner(rng, row, (many,))
            flat[each, row], flat[each, other] = flat[each, other], flat[each, row].copy()
        return np.moveaxis(flat.reshape(n_copies, n_columns, n_rows), 1, 2)

    return draw


def changed(
    change: Callable[[orders.Integers], None], n_copies: int, n_rows: int, n_columns: int, seed: int
) -> orders.Integers:
    sources = shuffled(n_copies, n_rows, n_columns, seed)
    change(sources)
    return sources


def one_order_for_all_columns(sources: orders.Integers) -> None:
    sources[:] = sources[:, :, :1]


def columns_alike_in_a_twentieth_of_the_copies(sources: orders.Integers) -> None:
    sources[::20] = sources[::20, :, :1]


def copies_in_pairs(sources: orders.Integers) -> None:
    sources[1::2] = sources[: len(sources) // 2 * 2 : 2]


def counters_that_meet(sources: orders.Integers) -> None:
    """The draw of the next column is that of the next copy."""
    sources[1:, :, :-1] = sources[:-1, :, 1:]


def the_last_row_stays(sources: orders.Integers) -> None:
    place = (sources == sources.shape[1] - 1).argmax(axis=1)[:, None]
    last = sources[:, -1:].copy()
    np.put_along_axis(sources, place, last, axis=1)
    sources[:, -1] = sources.shape[1] - 1


BIASED: dict[str, orders.Draw] = {
    "swaps with any row": swapped(lambda rng, row, size: rng.integers(0, 3, size)),
    "swaps with another row": swapped(lambda rng, row, size: rng.integers(0, row, size)),
    "remainders of 5 bits": swapped(lambda rng, row, size: rng.integers(0, 32, size) % (row + 1)),
    **{
        f.__name__: lambda *sizes, f=f: changed(f, *sizes)
        for f in (
            one_order_for_all_columns,
            columns_alike_in_a_twentieth_of_the_copies,
            copies_in_pairs,
            counters_that_meet,
            the_last_row_stays,
        )
    },
    "one seed for all": lambda copies, rows, columns, seed: shuffled(copies, rows, columns, 0),
}


@pytest.mark.parametrize("name", BIASED)
def test_a_biased_shuffle_of_few_rows(name: str) -> None:
    assert is_refused(orders.exact(BIASED[name], "shuffle", 3, 4_000, 9, seed=1))


@pytest.mark.parametrize("n", [3, 5])
def test_a_fair_shuffle_of_few_rows_passes(n: int) -> None:
    assert not is_refused(orders.exact(shuffled, "shuffle", n, 4_000, 9, seed=1))


def dealt(order_inside: bool, even: bool = False) -> orders.Draw:
    """Rows dealt into eight buckets, as they come or at random, and each bucket shuffled, or not."""

    def draw(n_copies: int, n_rows: int, n_columns: int, seed: int) -> orders.Integers:
        rng, shape = np.random.default_rng(seed), (n_copies, n_rows, n_columns)
        bucket = np.broadcast_to(np.arange(n_rows)[:, None] % 8, shape) if even else rng.integers(0, 8, shape)
        return np.argsort(bucket + (0 if order_inside else rng.random(shape)), axis=1, kind="stable")

    return draw


LARGE: dict[str, orders.Draw] = {
    "buckets in order": dealt(order_inside=True),
    "buckets not drawn": dealt(order_inside=False, even=True),
    "no row stays": swapped(lambda rng, row, size: rng.integers(0, row, size)),
    "rows stay near": lambda *sizes: np.argsort(
        np.arange(sizes[1])[:, None] + sizes[1] * np.random.default_rng(sizes[3]).random(sizes[:3]), axis=1
    ),
    **{name: BIASED[name] for name in ("one_order_for_all_columns", "copies_in_pairs", "the_last_row_stays")},
}


@pytest.mark.parametrize("name", LARGE)
def test_a_biased_shuffle_of_many_rows(name: str) -> None:
    assert is_refused(orders.large(LARGE[name], 400, 64, seed=2))


def test_a_fair_shuffle_of_many_rows_passes() -> None:
    assert not is_refused(orders.large(shuffled, 400, 64, seed=2))
    assert not is_refused(orders.large(dealt(order_inside=False), 400, 64, seed=3))


def test_rows_drawn_or_shifted_unevenly() -> None:
    def drawn(most: float) -> orders.Draw:
        return lambda copies, rows, columns, seed: (
            np.random.default_rng(seed).random((copies, rows, columns)) ** most * rows
        ).astype(int)

    def shifted(first: int) -> orders.Draw:
        def draw(n_copies: int, n_rows: int, n_columns: int, seed: int) -> orders.Integers:
            by = np.random.default_rng(seed).integers(first, n_rows, (n_copies, 1, n_columns))
            return (np.arange(n_rows)[:, None] + by) % n_rows

        return draw

    assert not is_refused(orders.drawn(drawn(1.0), 200, 100, seed=1))
    assert is_refused(orders.drawn(drawn(1.15), 200, 100, seed=1))
    assert is_refused(orders.drawn(shuffled, 200, 100, seed=1)), "every row comes once"
    assert not is_refused(orders.shifted(shifted(1), 33, 2_000, seed=1))
    assert is_refused(orders.shifted(shifted(0), 33, 2_000, seed=1)), "no shift at all"
    assert is_refused(orders.shifted(shifted(2), 33, 2_000, seed=1)), "never by one"
    assert is_refused(orders.shifted(shuffled, 33, 100, seed=1)), "no shifts"
    assert not is_refused(orders.exact(shifted(1), "shift", 4, 4_000, 9, seed=1))
    assert is_refused(orders.exact(shifted(0), "shift", 4, 4_000, 9, seed=1))
    assert not is_refused(orders.exact(drawn(1.0), "resample", 3, 4_000, 9, seed=1))
    assert is_refused(orders.exact(shuffled, "resample", 3, 4_000, 9, seed=1))


# ---- numbers


NORMALS: dict[str, Callable[[np.random.Generator], noise.Floats]] = {
    "six uniform numbers": lambda rng: (rng.random((N, 10, 6)).sum(axis=2) - 3) * np.sqrt(2),
    "2 % too wide": lambda rng: 1.02 * rng.standard_normal((N, 10)),
    "off by .02": lambda rng: 0.02 + rng.standard_normal((N, 10)),
    "no tails": lambda rng: stats.norm.ppf(np.clip(rng.random((N, 10)), 4e-5, 1 - 4e-5)),
    "pairs with one radius": lambda rng: (
        np.repeat(np.sqrt(rng.chisquare(2, (N, 5))), 2, axis=1) * np.cos(2 * np.pi * rng.random((N, 10)))
    ),
    "a row like the one before": lambda rng: (
        np.apply_along_axis(lambda z: 0.05 * np.roll(z, 1) + z, 0, rng.standard_normal((N, 10))) / np.sqrt(1.0025)
    ),
}


@pytest.mark.parametrize("name", NORMALS)
def test_noise_that_is_not_normal(name: str) -> None:
    assert is_refused(noise.normals(lambda seed: NORMALS[name](np.random.default_rng(seed))))


def test_normal_noise_passes_but_not_for_every_seed_the_same() -> None:
    assert not is_refused(noise.normals(lambda seed: np.random.default_rng(seed).standard_normal((N, 10))))
    assert is_refused(noise.normals(lambda seed: np.random.default_rng(0).standard_normal((N, 10))))


def test_integers_that_are_not_uniform() -> None:
    rng, bound = np.random.default_rng(0), 3 * 2**30
    words = rng.integers(0, 2**32, N)
    assert not is_refused(noise.integers(rng.integers(0, bound, N), bound))
    assert is_refused(noise.integers(words * bound >> 32, bound)), "one remainder of three comes twice as often"
    assert is_refused(noise.integers(words % bound, bound)), "the low quarter comes twice as often"
    assert is_refused(noise.integers(np.repeat(words[::2] % 7, 2), 7)), "pairs"
    assert is_refused(noise.integers(rng.integers(0, 8, N), 7)), "out of range"
    assert not is_refused(noise.integers(rng.integers(0, 7, N), 7))


# ---- gradients


def test_a_gradient_off_by_one_percent() -> None:
    rng = np.random.default_rng(0)
    layers, biases = [rng.standard_normal((6, 3)), rng.standard_normal((1, 6))], [rng.standard_normal(6), np.zeros(1)]
    x, value = rng.standard_normal((4, 3)), slopes.perceptron(layers, biases)
    gradient = dw.MLPDual(layers, biases).gradient(x)
    for tolerance in slopes.TOLERANCE.values():
        slopes.accept(value, gradient, x, tolerance=tolerance)
        with pytest.raises(AssertionError, match=r"off by 0\.01 of the largest slope"):
            slopes.accept(value, 1.01 * gradient, x, tolerance=tolerance)
        one = gradient.copy()
        one[2, np.abs(one[2]).argmax()] *= 0.99
        with pytest.raises(AssertionError, match=r"off by 0\.01 of the largest slope"):
            slopes.accept(value, one, x, tolerance=tolerance)
    with pytest.raises(AssertionError, match="shape"):
        slopes.accept(value, gradient[0], x)


def test_finite_differences_are_those_of_known_functions() -> None:
    x = np.array([[0.3, -1.2], [2.0, 0.5]])
    found = slopes.slopes(lambda at: np.exp(at[..., 0]) * np.sin(at[..., 1]), x)
    exact = np.stack([np.exp(x[:, 0]) * np.sin(x[:, 1]), np.exp(x[:, 0]) * np.cos(x[:, 1])], axis=1)
    np.testing.assert_allclose(found.astype(float), exact, rtol=1e-11)
    covariance = np.array([[2.0, 0.6], [0.6, 0.5]])
    known = stats.multivariate_normal([1.0, -1.0], covariance).logpdf(x)
    np.testing.assert_allclose(
        slopes.log_normal(x.astype(slopes.Long), [1.0, -1.0], covariance).astype(float), known, rtol=1e-12
    )


# ---- objectives


def test_a_log_mean_that_is_corrected_or_divides_by_one_less() -> None:
    def plain(f: bias.Floats) -> bias.Floats:
        return np.log(np.exp(f).mean(axis=1))

    assert not is_refused(bias.of_log_mean_exp(plain))
    assert is_refused(bias.of_log_mean_exp(lambda f: plain(f) + np.log(bias.N / (bias.N - 1))))
    assert is_refused(
        bias.of_log_mean_exp(lambda f: plain(f) + np.exp(f).var(axis=1) / np.exp(f).mean(axis=1) ** 2 / 2 / bias.N)
    )
    assert not is_refused(bias.of_donsker_varadhan(lambda p, q: p.mean(axis=1) - plain(q), 2_000))
    assert is_refused(bias.of_donsker_varadhan(lambda p, q: p.mean(axis=1) - q.mean(axis=1), 2_000))
    less = np.log(bias.N / (bias.N - 1))
    assert is_refused(bias.of_donsker_varadhan(lambda p, q: p.mean(axis=1) - plain(q) - less, 2_000))


# ---- limits and estimates


def estimates(seed: int = 0, spread: float = 0.12) -> tuple[bias.Floats, bias.Floats]:
    """Estimates of 0.7 nats, and the standard errors that they state."""
    rng = np.random.default_rng(seed)
    return 0.7 + spread * rng.standard_normal(fits.N_FITS), 0.12 * np.sqrt(rng.chisquare(99, fits.N_FITS) / 99)


@pytest.mark.parametrize(("holds", "refused"), [(0.97, False), (0.95, False), (0.85, True), (0.8, True)])
def test_a_limit_that_fails_its_level(holds: float, refused: bool) -> None:
    values, errors = estimates()
    assert is_refused(fits.limit(values - stats.norm.ppf(holds) * errors, 0.7, 0.95)) is refused


def test_how_often_a_limit_at_85_percent_is_refused() -> None:
    """Of all choices of seeds: four in five; and a limit at 95 % in at most the level."""
    held = np.arange(fits.N_FITS + 1)
    refused = [is_refused(fits.limit(np.repeat([0.0, 1.0], [k, fits.N_FITS - k]), 0.5, 0.95)) for k in held]
    assert stats.binom.pmf(held, fits.N_FITS, 0.85) @ refused > 0.8
    assert stats.binom.pmf(held, fits.N_FITS, 0.95) @ refused <= LEVEL


def test_estimates_that_are_off_or_do_not_know_how_far() -> None:
    values, errors = estimates()
    assert not is_refused(fits.estimate(values, errors, values, 0.7, within=0.1))
    assert not is_refused(fits.estimate(values - 0.1, errors, values, 0.7, within=0.1))
    assert is_refused(fits.estimate(values + 0.15, errors, values, 0.7, within=0.1))
    assert is_refused(fits.estimate(values - 0.15, errors, values, 0.7, within=0.1))
    assert is_refused(fits.estimate(values, errors / 2.2, values, 0.7, within=0.1)), "errors too small"
    assert is_refused(fits.estimate(values, errors * 2.2, values, 0.7, within=0.1)), "errors too large"


# ---- false alarms


def test_end_points_that_miss_their_rate() -> None:
    stated = dualspace.false_alarm_rate(39)
    assert not is_refused(alarms.end_points(dualspace.end_points, stated, "normal", 39, 2_000))
    narrow = alarms.end_points(lambda f: 0.9 * dualspace.end_points(f), stated, "normal", 39, 2_000)
    assert is_refused(narrow), "as those of rows that were trained on"
    assert is_refused(alarms.end_points(lambda f: np.quantile(f, [0.05, 0.95]), stated, "normal", 39, 2_000))
    assert is_refused(alarms.end_points(lambda f: np.array([-9.0, 9.0]), stated, "normal", 39, 2_000)), "never an alarm"
    assert is_refused(alarms.end_points(lambda f: 0.8 * dualspace.end_points(f), stated, "levels", 39, 2_000))


def test_conformal_p_values_that_are_too_small() -> None:
    assert not is_refused(alarms.conformal(dualspace.conformal_p_values, "normal", 39, 2_000))
    halved = alarms.conformal(lambda f, known: dualspace.conformal_p_values(f, known) / 2, "normal", 39, 2_000)
    assert is_refused(halved), "one side's p-value, whichever is smaller"
    narrow = alarms.conformal(lambda f, known: dualspace.conformal_p_values(f, 0.9 * known), "normal", 39, 2_000)
    assert is_refused(narrow), "beside values of rows that were trained on"


def test_alarm_rates_of_fits() -> None:
    shares = np.random.default_rng(0).binomial(200, stats.beta(4, 97).rvs(200, random_state=0)) / 200
    assert not is_refused(fits.false_alarms(shares, 0.04, within=0.01))
    assert is_refused(fits.false_alarms(1.6 * shares, 0.04, within=0.01))


def test_p_values_that_are_not_uniform() -> None:
    def p_value(x: alarms.Floats, blocks: list[int] | None, seed: int) -> float:
        return dw.independence_test(x, blocks=blocks, n_permutations=19, random_state=seed, n_threads=1).p_value

    def given_away(x: alarms.Floats, blocks: list[int] | None, seed: int) -> float:
        return p_value(x, None, seed)

    fair = alarms.permutation_test(p_value, "blocks", 200)
    assert not is_refused(laws.of_permutation_p_values(fair, 19))
    assert is_refused(laws.of_permutation_p_values(alarms.permutation_test(given_away, "blocks", 100), 19)), "blocks ignored"
    ranks = np.random.default_rng(0).integers(1, 21, 2_000)
    assert not is_refused(laws.of_permutation_p_values(ranks / 20, 19))
    assert is_refused(laws.of_permutation_p_values(np.maximum(ranks - 1, 1) / 20, 19)), "the data do not count themselves"
    assert is_refused(laws.of_permutation_p_values(np.full(2_000, 0.5), 19)), "always the same"


def test_areas_whose_rows_are_taken_for_independent() -> None:
    def attack(members: alarms.Floats, others: alarms.Floats, subject: Any, *, by_subject: bool) -> tuple[float, float, float]:
        """The AUC, give or take 1.96 standard errors from its placements."""
        above = (members[:, None] > others).mean(axis=1), (members[:, None] > others).mean(axis=0)
        if by_subject:
            above = tuple(np.bincount(subject, part) / np.bincount(subject) for part in above)
        auc, se = above[0].mean(), np.sqrt(sum(part.var(ddof=1) / len(part) for part in above))
        return auc - 1.96 * se, auc + 1.96 * se, float(stats.norm.sf((auc - 0.5) / se))

    assert not is_refused(alarms.areas(partial(attack, by_subject=True), 0.0, 500))
    assert is_refused(alarms.areas(partial(attack, by_subject=False), 0.0, 500))


# ---- samples and walks


def test_samples_that_are_not_as_balanced_or_as_independent_as_stated() -> None:
    rng = np.random.default_rng(0)
    alone = rng.standard_normal((N, 2))
    even = stats.norm.ppf((rng.permuted(np.tile(np.arange(50), (N // 50, 2, 1)), axis=2) + 0.5) / 50).transpose(0, 2, 1)
    even = even.reshape(N, 2)
    assert not is_refused(sampling.independent(alone, 50))
    assert is_refused(sampling.independent(even, 50))
    assert is_refused(sampling.independent(np.repeat(alone[::2], 2, axis=0), 50)), "every row twice"
    assert not is_refused(sampling.same_shares(alone, even, within=0.03))
    assert is_refused(sampling.same_shares(alone + 0.12, even, within=0.03))
    sampling.balanced(even, 50)
    with pytest.raises(AssertionError, match="of the variance of independent rows"):
        sampling.balanced(alone, 50)


def test_starts_that_are_uneven() -> None:
    rng = np.random.default_rng(0)

    def starts(extra: Callable[[], Any]) -> dict[str, float]:
        return sampling.starts(lambda n: np.concatenate([rng.permutation(7), rng.permutation(7), extra()]), 7, 2_000)

    assert not is_refused(starts(lambda: rng.permutation(7)[:3]))
    assert is_refused(starts(lambda: np.arange(3)))
    assert is_refused(starts(lambda: np.append(rng.permutation(6)[:2], 6))), "the last row is always left over"
    with pytest.raises(AssertionError, match="even"):
        sampling.starts(lambda n: rng.integers(0, 7, n), 7, 50)


def test_walks_with_other_noise_or_steps() -> None:
    covariance, mean, start = np.array([[1.0, 0.5], [0.5, 0.7]]), np.array([0.2, -0.1]), np.array([2.0, 1.0])
    pull = np.linalg.inv(covariance)

    def ends(step_size: float, noise_size: float) -> walks.Floats:
        rng, x = np.random.default_rng(0), np.tile(start, (10_000, 1))
        for _ in range(30):
            x = x - step_size * (x - mean) @ pull + noise_size * rng.standard_normal(x.shape)
        return x

    law = walks.gaussian_chain(mean, covariance, start, 0.1, 30, np.eye(2))
    assert not is_refused(laws.of_gaussians(ends(0.1, np.sqrt(0.2)), *law))
    assert is_refused(laws.of_gaussians(ends(0.1, np.sqrt(0.1)), *law)), "half the noise"
    assert is_refused(laws.of_gaussians(ends(0.11, np.sqrt(0.2)), *law)), "steps 10 % too long"
    assert is_refused(laws.of_gaussians(ends(0.1, 1.03 * np.sqrt(0.2)), *law)), "noise 3 % too large"
    assert is_refused(laws.of_gaussians(ends(0.1, np.sqrt(0.2)) * [1.0, -1.0], *law)), "the wrong sign"


def test_a_chain_on_a_grid_is_that_of_its_closed_form() -> None:
    grid = np.linspace(-8, 8, 801)
    found = walks.chain_on_grid(lambda x: -x, 1.5, 0.2, 4, grid)
    mean, covariance = walks.gaussian_chain(np.zeros(1), np.eye(1), np.array([1.5]), 0.2, 4, np.eye(1))
    np.testing.assert_allclose(found, stats.norm.cdf(grid, mean[0], np.sqrt(covariance[0, 0])), atol=1e-4)
    x = np.random.default_rng(0).normal(mean[0], np.sqrt(covariance[0, 0]), N)
    assert not is_refused(walks.on_grid(x, grid, found))
    assert is_refused(walks.on_grid(x + 0.05, grid, found))
