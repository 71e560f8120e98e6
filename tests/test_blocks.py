"""Blocks: the elliptical base against closed forms, gradients against finite differences, the chain, determinism."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from dualwalk._blocks.base import EllipticalBase, fit_elliptical, scatter
from dualwalk._blocks.choice import choose_base
from dualwalk._blocks.critic import Critic, CriticPlan, contrast, train_critic
from dualwalk._blocks.features import Features
from dualwalk._blocks.fit import FittedBlocks, fit_blocks
from dualwalk._blocks.fold import splits
from dualwalk._blocks.student import GAUSSIAN, student_scores, student_slopes
from dualwalk._blocks.term import BlockTerm, Reduction, log_ratio
from dualwalk._critic.network import initial_weights, n_weights
from dualwalk._nodepath.fold import folds
from dualwalk.normal_scores import NormalScores

stats = pytest.importorskip("scipy.stats")


def gaussian_log_ratio(z: np.ndarray, matrix: np.ndarray, n_first: int) -> np.ndarray:
    """log N(z; matrix) - log N(x; its first block) - log N(y; its second)."""
    first, second = slice(n_first), slice(n_first, None)
    total = stats.multivariate_normal(cov=matrix).logpdf(z)
    total -= stats.multivariate_normal(cov=matrix[first, first]).logpdf(z[:, first])
    return total - stats.multivariate_normal(cov=matrix[second, second]).logpdf(z[:, second])


def correlation(rng: np.random.Generator, d: int) -> np.ndarray:
    factors = rng.standard_normal((d, d + 2))
    matrix = factors @ factors.T
    scale = np.sqrt(np.diag(matrix))
    return matrix / np.outer(scale, scale)


@pytest.mark.parametrize("degrees", [1.0, 3.0, 15.0])
def test_student_scores_are_student_quantiles(degrees: float) -> None:
    z = np.linspace(-4.5, 4.5, 37)
    expected = stats.t(degrees).ppf(stats.norm.cdf(z))
    np.testing.assert_allclose(student_scores(z, degrees), expected, rtol=2e-3, atol=1e-6)
    step = 1e-7
    slopes = (student_scores(z + step, degrees) - student_scores(z - step, degrees)) / (2 * step)
    inside = np.abs(z * 200 - np.round(z * 200)) > 0.01  # away from the knots of the interpolation
    np.testing.assert_allclose(student_slopes(z, degrees)[inside], slopes[inside], rtol=1e-5)


def base_pairs(base: EllipticalBase, z: np.ndarray, n_first: int) -> np.ndarray:
    return base.pairs(base.side(z[:, :n_first], 0), base.side(z[:, n_first:], 1))


def test_a_full_gaussian_base_is_the_log_ratio_up_to_terms_in_x(rng: np.random.Generator) -> None:
    matrix = correlation(rng, 5)
    z = rng.standard_normal((6, 5))
    f = base_pairs(fit_elliptical((np.zeros(5), matrix), 2, GAUSSIAN, 0.0), z, 2)
    for i in range(6):
        rows = np.hstack([np.tile(z[i, :2], (6, 1)), z[:, 2:]])
        expected = gaussian_log_ratio(rows, matrix, 2)
        np.testing.assert_allclose(f[i] - f[i, 0], expected - expected[0], atol=1e-4)


def test_a_full_student_base_is_the_log_ratio_up_to_terms_in_x(rng: np.random.Generator) -> None:
    matrix, degrees = correlation(rng, 5), 3.0
    z = rng.standard_normal((6, 5))
    a = student_scores(z, degrees)
    f = base_pairs(fit_elliptical((np.zeros(5), matrix), 2, degrees, 0.0), z, 2)
    for i in range(6):
        rows = np.hstack([np.tile(a[i, :2], (6, 1)), a[:, 2:]])
        expected = stats.multivariate_t(shape=matrix, df=degrees).logpdf(rows)
        expected -= stats.multivariate_t(shape=matrix[2:, 2:], df=degrees).logpdf(a[:, 2:])
        np.testing.assert_allclose(f[i] - f[i, 0], expected - expected[0], atol=1e-4)


def test_values_are_the_diagonal_of_pairs(rng: np.random.Generator) -> None:
    z = rng.standard_normal((9, 5))
    for degrees in (2.0, GAUSSIAN):
        base = fit_elliptical((np.zeros(5), correlation(rng, 5)), 3, degrees, 0.1).cut(1)
        x, y = base.side(z[:, :3], 0), base.side(z[:, 3:], 1)
        np.testing.assert_allclose(base.values(x, y), np.diag(base.pairs(x, y)), atol=1e-12)


@pytest.mark.parametrize("degrees", [3.0, GAUSSIAN])
def test_model_values_are_the_copulas_log_ratio(degrees: float, rng: np.random.Generator) -> None:
    matrix, z = correlation(rng, 5), rng.standard_normal((6, 5))
    base = fit_elliptical((np.zeros(5), matrix), 2, degrees, 0.0)
    values = base.model_values(base.side(z[:, :2], 0), base.side(z[:, 2:], 1))
    if math.isinf(degrees):
        expected = gaussian_log_ratio(z, matrix, 2)
    else:
        a = student_scores(z, degrees)
        expected = stats.multivariate_t(shape=matrix, df=degrees).logpdf(a)
        for part in (slice(2), slice(2, None)):
            expected -= stats.multivariate_t(shape=matrix[part, part], df=degrees).logpdf(a[:, part])
    np.testing.assert_allclose(values, expected, atol=1e-4)


def test_scatter_recovers_the_shape_of_a_student_sample(rng: np.random.Generator) -> None:
    matrix = np.array([[1.0, 0.6], [0.6, 1.0]])
    a = rng.multivariate_normal(np.zeros(2), matrix, 20_000) / np.sqrt(rng.chisquare(2.0, 20_000) / 2)[:, None]
    centre, found = scatter(a, 2.0)
    np.testing.assert_allclose(found, matrix, atol=0.05)
    np.testing.assert_allclose(centre, 0, atol=0.05)


def random_term(rng: np.random.Generator, degrees: float, rich: bool, wide: bool = False, lifted: bool = False) -> BlockTerm:
    dx, dy = 3, 2
    times = 2 if lifted else 1
    d = times * (dx + dy)
    moments = 0.3 * rng.standard_normal(d), correlation(rng, d)
    base = fit_elliptical(moments, times * dx, degrees, 0.05, lifted=lifted).cut(2)
    directions = rng.standard_normal((dx, 2)) if wide else None
    features = Features(dx, directions, rich), Features(dy, None, rich)
    critics = []
    for _ in range(2):
        widths = [(part.n_inputs, 32, 32, 16) for part in features]
        weights = np.concatenate([initial_weights(rng, width, last=0.5) for width in widths])
        assert len(weights) == sum(n_weights(width) for width in widths)
        critics.append(Critic(features, weights))
    x = Reduction(np.array([4, 0, 2]), None)
    y = Reduction(np.array([1, 3]), np.array([[0.8, 0.1], [-0.3, 1.1]]) if wide else None)
    return BlockTerm((x, y), base, tuple(critics), 0.75, rng.standard_normal((40, dy)))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("rich", [False, True])
@pytest.mark.parametrize("kind", ["student", "gaussian", "lifted"])
def test_gradients_match_finite_differences(kind: str, rich: bool, wide: bool, rng: np.random.Generator) -> None:
    degrees = 2.0 if kind == "student" else GAUSSIAN
    term, z = random_term(rng, degrees, rich, wide, kind == "lifted"), rng.standard_normal((7, 6))
    value, gradient = term.value_and_gradient(z)
    np.testing.assert_allclose(value, term.values(z), atol=1e-12)
    step = 1e-3  # networks are float32
    for column in range(6):
        shift = np.zeros_like(z)
        shift[:, column] = step
        difference = (term.values(z + shift) - term.values(z - shift)) / (2 * step)
        np.testing.assert_allclose(gradient[:, column], difference, atol=6e-3 * max(1.0, np.abs(gradient).max()))
    assert not gradient[:, 5].any()


def test_a_term_is_normalized_over_its_grid(rng: np.random.Generator) -> None:
    """Averaged over the grid's own rows, exp of the seen values is 1 for every x."""
    term = random_term(rng, 3.0, True)
    total = np.zeros(40)
    x = rng.standard_normal((40, 6))
    for shift in range(40):
        rows = x.copy()
        rows[:, term.blocks[1].columns] = np.roll(term.grid, shift, axis=0)
        total += np.exp(term.values(rows, seen=True)) / 40
    np.testing.assert_allclose(total, 1.0, atol=1e-6)


def test_no_row_claims_more_than_the_grid_supports() -> None:
    own, grid = np.array([800.0, 0.0, -900.0]), np.zeros((3, 9))
    np.testing.assert_allclose(log_ratio(own, grid), [math.log(10), 0.0, -900 + math.log(10 / 9)], rtol=1e-12)


def test_contrast_of_nothing_is_zero_and_is_bounded() -> None:
    assert contrast(np.zeros((8, 8), np.float32)) == 0.0
    assert contrast(100 * np.eye(8, dtype=np.float32)) == pytest.approx(math.log(8), abs=1e-5)


def test_splits_hold_out_disjoint_rows_and_keep_a_core() -> None:
    for n in (6, 20, 100, 1000):
        parts, core = splits(np.arange(n))
        held = np.concatenate([rows for _, rows in parts])
        assert len(np.unique(held)) == len(held)
        assert len(core) >= n // 3
        for train, rows in parts:
            assert not np.intersect1d(train, rows).size
            assert len(train) + len(rows) == n
            assert np.isin(core, train).all()


def test_the_base_that_is_chosen_is_the_one_the_data_have(rng: np.random.Generator) -> None:
    shared = rng.standard_normal((600, 1))
    linear = 0.8 * shared + 0.6 * rng.standard_normal((600, 6))
    scaled = rng.standard_normal((600, 4)) / np.sqrt(rng.chisquare(2.0, (600, 1)))
    turned = np.where(rng.random((600, 3)) < 0.5, 1, -1) * linear[:, :3] + 0.3 * rng.standard_normal((600, 3))
    choices = []
    for rows in (linear, scaled, np.hstack([linear[:, :3], turned]), rng.standard_normal((600, 6))):
        z = NormalScores().fit_transform(rows)
        half = rows.shape[1] // 2
        choices.append(choose_base(z[:, :half], z[:, half:], splits(np.arange(600))[0])[0])
    assert choices[0].degrees >= 8
    assert choices[0].rank >= 1
    assert choices[1].degrees <= 3
    assert choices[2].lifted
    assert choices[3].rank == 0


def test_a_critic_learns_what_the_base_cannot(rng: np.random.Generator) -> None:
    x = rng.standard_normal((800, 1))
    y = np.where(rng.random((800, 1)) < 0.5, x, -x) + 0.3 * rng.standard_normal((800, 1))
    z = NormalScores().fit_transform(np.hstack([x, y]))
    base = fit_elliptical((np.zeros(2), np.eye(2)), 1, GAUSSIAN, 0.0).cut(0)
    features = Features(1, None, True), Features(1, None, True)
    train, held = (z[:600, :1], z[:600, 1:]), (z[600:, :1], z[600:, 1:])
    _, before, after = train_critic(base, features, train, held, rng, plan=CriticPlan())
    assert after - before > 0.5


def fit(rows: np.ndarray, labels: np.ndarray) -> FittedBlocks:
    z = NormalScores().fit_transform(rows)
    return fit_blocks(z, labels, folds(len(z), 3, 5), seed=5)


def equicorrelated(rng: np.random.Generator, n: int, d: int, r: float) -> np.ndarray:
    return np.sqrt(r) * rng.standard_normal((n, 1)) + np.sqrt(1 - r) * rng.standard_normal((n, d))


def test_the_chain_over_blocks_adds_up(rng: np.random.Generator) -> None:
    """Gaussian, three blocks of two: the divergence is half the log of the blocks' determinants over the whole one's."""
    rows, labels = equicorrelated(rng, 900, 6, 0.5), np.array([0, 1, 2, 0, 1, 2])
    fitted = fit(rows, labels)
    matrix = 0.5 * np.ones((6, 6)) + 0.5 * np.eye(6)
    order = np.argsort(labels, kind="stable")
    true = gaussian_log_ratio(rows[:, order], matrix, 2)  # blocks 1 and 2 against block 0 ...
    true += gaussian_log_ratio(rows[:, order][:, 2:], matrix[:4, :4], 2)  # ... and against each other
    oracle = true.mean()
    assert (fitted.held_out.mean() + fitted.trained) / 2 == pytest.approx(oracle, abs=0.06)
    assert fitted.held_out.mean() < oracle + 0.02
    terms = fitted.dual.terms(NormalScores().fit_transform(rows))
    assert terms.shape == rows.shape
    assert not terms[:, labels == 0].any()
    np.testing.assert_allclose(terms[:, 1], terms[:, 4])


def test_dependence_inside_a_block_does_not_count(rng: np.random.Generator) -> None:
    pair = equicorrelated(rng, 600, 2, 0.9)
    other = equicorrelated(rng, 600, 2, 0.9)
    fitted = fit(np.hstack([pair, other]), np.array([0, 0, 1, 1]))
    assert abs((fitted.held_out.mean() + fitted.trained) / 2) < 0.03


def test_same_seed_same_bits(rng: np.random.Generator) -> None:
    x = rng.standard_normal((240, 2))
    rows = np.hstack([x, np.sin(2 * x[:, :1]) + 0.3 * rng.standard_normal((240, 1)), rng.standard_normal((240, 1))])
    labels = np.array([0, 0, 1, 2])
    one, two = fit(rows, labels), fit(rows, labels)
    assert one.held_out.tobytes() == two.held_out.tobytes()
    assert one.trained == two.trained


def test_the_dual_is_picklable_and_takes_no_rows(rng: np.random.Generator) -> None:
    rows = equicorrelated(rng, 120, 3, 0.6)
    dual = fit(rows, np.array([0, 0, 1])).dual
    z = NormalScores().fit_transform(rows)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dual)).value(z), dual.value(z))
    np.testing.assert_allclose(dual.terms(z).sum(axis=1), dual.value(z), atol=1e-12)
    np.testing.assert_allclose(dual.value_and_gradient(z)[0], dual.value(z), atol=1e-12)
    assert dual.value(np.empty((0, 3))).shape == (0,)
    with pytest.raises(ValueError, match="seen in fit"):
        dual.value(np.zeros((4, 2)))


def test_wide_blocks_are_reduced(rng: np.random.Generator) -> None:
    shared = rng.standard_normal((150, 1))
    rows = 0.7 * shared + rng.standard_normal((150, 400))
    fitted = fit(rows, np.repeat([0, 1], 200))
    assert fitted.held_out.mean() > 1.0  # 200 columns a side show the shared value nearly without noise
    value, gradient = fitted.dual.value_and_gradient(NormalScores().fit_transform(rows)[:3])
    assert value.shape == (3,)
    assert gradient.shape == (3, 400)


def test_a_report_that_raises_stops_the_work(rng: np.random.Generator) -> None:
    rows = equicorrelated(rng, 200, 4, 0.5)
    shares: list[float] = []

    def report(share: float) -> None:
        shares.append(share)
        if len(shares) > 3:
            raise KeyboardInterrupt

    z = NormalScores().fit_transform(rows)
    with pytest.raises(KeyboardInterrupt):
        fit_blocks(z, np.array([0, 0, 1, 1]), folds(200, 3, 0), seed=0, report=report)
    assert shares == sorted(shares)
