"""The shared network: its gradient against finite differences in float64, its sign symmetry, its training."""

from __future__ import annotations

import numpy as np
import pytest

from dualwalk._nodepath.network import LOG_SD_RANGE, N_COMPONENTS, N_TIED, NodeNetwork, Pairs, initial_weights
from dualwalk._nodepath.path import NodeData
from dualwalk._nodepath.training import TrainingPlan, _Trainer, train_nodes


def some_data(rng: np.random.Generator, n_nodes: int, n_rows: int, dtype: type = np.float64) -> NodeData:
    shape = (n_nodes, n_rows)
    parts = (rng.standard_normal(shape), rng.standard_normal(shape), 0.5 * rng.standard_normal(shape))
    return NodeData(
        *(part.astype(dtype) for part in parts),
        (0.3 * rng.standard_normal(n_nodes) - 0.3).astype(dtype),
        (0.3 * rng.standard_normal((n_nodes, 4))).astype(dtype),
    )


def weights_off_the_start(rng: np.random.Generator, members: int) -> np.ndarray:
    weights = initial_weights([rng] * members, np.float64)
    return weights + 0.3 * rng.standard_normal(weights.shape)


def chain_data(rng: np.random.Generator, n_rows: int, r: float, n_nodes: int = 6, dtype: type = np.float32) -> NodeData:
    """Nodes whose parent explains them by a correlation of r, in a base that knows nothing of it."""
    parent = rng.standard_normal((n_nodes, n_rows))
    child = r * parent + np.sqrt(1 - r * r) * rng.standard_normal(parent.shape)
    statistics = np.tile([r, r * r, 0.0, 0.0], (n_nodes, 1))
    return NodeData(*(a.astype(dtype) for a in (child, parent, 0 * parent, np.zeros(n_nodes), statistics)))


def test_gradient_is_that_of_the_loss(rng: np.random.Generator) -> None:
    data = some_data(rng, 5, 7)
    weights = weights_off_the_start(rng, 2)
    trainer = _Trainer(weights, 20, TrainingPlan())
    nodes, rows = np.array([3, 1, 0, 2]), np.array([0, 6, 2, 3, 4])
    flips = rng.random((4, 2)) < 0.5
    _, gradient = trainer.gradient(data, nodes, rows, flips)
    gradient = gradient.copy()
    step = 1e-5
    for weight in range(0, weights.shape[1], 7):
        difference = np.zeros(2)
        for sign in (1, -1):
            weights[:, weight] += sign * step
            difference += sign * trainer.gradient(data, nodes, rows, flips)[0]
            weights[:, weight] -= sign * step
        np.testing.assert_allclose(gradient[:, weight], difference / (2 * step), atol=1e-8, rtol=1e-6)


def test_log_ratio_is_the_plain_formula(rng: np.random.Generator) -> None:
    data = some_data(rng, 3, 4)
    weights = weights_off_the_start(rng, 2)
    network, pairs = NodeNetwork(weights, 12), Pairs(12, np.float64)
    pairs.fill(data, slice(None), slice(None))
    outputs = network.outputs(pairs).copy()
    value = network.log_ratio(pairs)
    logits, means, raw = outputs[:, :5], outputs[:, 5:10], np.clip(outputs[:, 10:], *LOG_SD_RANGE)
    share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scale = np.repeat(np.exp(data.log_scale), 4)
    means[:, :N_TIED] = data.mean.ravel() + scale * means[:, :N_TIED]
    sd = np.exp(raw)
    sd[:, :N_TIED] *= scale
    x = data.child.ravel()
    density = (share / sd * np.exp(-0.5 * ((x - means) / sd) ** 2)).sum(1)
    np.testing.assert_allclose(value, np.log(density) + 0.5 * x * x, atol=1e-10)
    assert value.shape == (2, 12)
    assert logits.shape[1] == N_COMPONENTS


def test_hidden_layers_are_silu(rng: np.random.Generator) -> None:
    data = some_data(rng, 2, 3)
    weights = weights_off_the_start(rng, 1)
    network, pairs = NodeNetwork(weights, 6), Pairs(6, np.float64)
    pairs.fill(data, slice(None), slice(None))
    signal = np.vstack([pairs.inputs[:7]])
    start = 0
    for rows, columns in ((32, 8), (32, 33), (15, 33)):
        matrix = weights[0, start : start + rows * columns].reshape(rows, columns)
        start += rows * columns
        signal = matrix[:, :-1] @ signal + matrix[:, -1:]
        if rows == 32:
            signal = signal / (1 + np.exp(-signal))
    np.testing.assert_allclose(network.outputs(pairs)[0], signal, atol=1e-12)


def test_extreme_inputs_stay_finite_without_a_warning(rng: np.random.Generator) -> None:
    data = some_data(rng, 2, 3, np.float32)
    data.child[...] = 50.0
    data.parent[...] = -1e4
    trainer = _Trainer(initial_weights([rng], np.float32), 6, TrainingPlan())
    loss, gradient = trainer.gradient(data, np.arange(2), np.arange(3), np.zeros((2, 2), dtype=bool))
    assert np.isfinite(loss).all()
    assert np.isfinite(gradient).all()


def test_flips_give_the_mirrored_node(rng: np.random.Generator) -> None:
    data = some_data(rng, 4, 5)
    flips = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=bool)
    parent, child = 1 - 2 * flips.T.astype(float)
    mirrored = NodeData(
        data.child * child[:, None],
        data.parent * parent[:, None],
        data.mean * child[:, None],
        data.log_scale,
        data.statistics * np.column_stack([parent * child, np.ones(4), parent, child]),
    )
    nodes, rows = np.arange(4), np.arange(5)
    flipped, direct = Pairs(20, np.float64), Pairs(20, np.float64)
    flipped.fill(data, nodes, rows, flips)
    direct.fill(mirrored, slice(None), slice(None))
    np.testing.assert_allclose(flipped.inputs, direct.inputs)
    np.testing.assert_allclose(flipped.centre, direct.centre)


def test_training_finds_the_information_of_a_pair(rng: np.random.Generator) -> None:
    truth = -0.5 * np.log(1 - 0.8**2)
    train, validation, test = (chain_data(rng, n, 0.8) for n in (300, 80, 4000))
    trained = train_nodes(train, validation, n_members=2, seed=0)
    assert trained.weights.shape[0] == 2
    assert trained.weights.dtype == np.float32
    scorer = _Trainer(trained.weights, 4096, TrainingPlan())
    found = scorer.score(test, 4000)
    assert (found > 0.9 * truth).all()
    assert (found < truth + 0.02).all()


def test_training_stops_early_and_says_how_far_it_is(rng: np.random.Generator) -> None:
    train, validation = (chain_data(rng, n, 0.0) for n in (60, 40))
    shares: list[float] = []
    trained = train_nodes(train, validation, n_members=1, seed=0, report=shares.append)
    assert trained.n_steps < 800
    assert shares == sorted(shares)
    assert shares[-1] == trained.n_steps / 800


def test_same_seed_same_bits(rng: np.random.Generator) -> None:
    train, validation = (chain_data(rng, n, 0.5) for n in (60, 40))
    plan = TrainingPlan(n_steps=60)
    first, again, other = (train_nodes(train, validation, n_members=2, seed=s, plan=plan).weights for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first[0] != first[1]).any()


@pytest.mark.parametrize("n_rows", [1, 3])
def test_a_row_or_three_can_train(rng: np.random.Generator, n_rows: int) -> None:
    train, validation = (chain_data(rng, n, 0.5, n_nodes=1) for n in (n_rows, 1))
    assert np.isfinite(train_nodes(train, validation, n_members=1, seed=0, plan=TrainingPlan(n_steps=40)).weights).all()
