"""Training of the node networks: gradients against finite differences in float64, sign symmetry, and what it finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from _nodes import CODES, chain_data, some_data, some_weights

from dualwalk._blas import one_blas_thread
from dualwalk._nodepath.network import NodeData
from dualwalk._nodepath.training import TrainingPlan, train_nodes
from dualwalk.backends import _reference_nodes as reference
from dualwalk.backends._reference_nodes import LOG_SD_RANGE, N_COMPONENTS, N_OUTPUTS, N_TIED, StepPlan


def step_plan(n_steps: int, *, base: bool = False, n_shifts: int = 2) -> StepPlan:
    return StepPlan(np.full(n_steps, 5e-3), 1e-2, 5.0, n_shifts, base)


def finite_differences(function: object, weights: np.ndarray, places: range, step: float = 1e-5) -> np.ndarray:
    slopes = []
    for place in places:
        ends = []
        for sign in (1, -1):
            moved = weights.copy()
            moved[place] += sign * step
            ends.append(function(moved)[0])  # type: ignore[operator]
        slopes.append((ends[0] - ends[1]) / (2 * step))
    return np.array(slopes)


@pytest.mark.parametrize("kind", ["density", "contrastive", "contrastive with base"])
def test_gradient_is_that_of_the_loss(rng: np.random.Generator, kind: str) -> None:
    data = some_data(rng, 5, 7)
    nodes, rows = np.array([3, 1, 0, 2]), np.array([0, 6, 2, 3, 4])
    flips = rng.integers(0, 8, 4).astype(np.uint8)
    weights = some_weights(rng, kind.split()[0], 1, n_hidden=16)[0]

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        if kind == "density":
            return reference.density_gradient(at, data, nodes, rows, flips)
        return reference.contrastive_gradient(at, data, nodes, rows, flips, step_plan(1, base="base" in kind))

    places = range(0, len(weights), 5)
    np.testing.assert_allclose(loss(weights)[1][::5], finite_differences(loss, weights, places), atol=1e-8, rtol=1e-6)


def test_log_ratio_is_the_plain_formula(rng: np.random.Generator) -> None:
    outputs = rng.standard_normal((N_OUTPUTS, 12)) * 2
    x, mean, log_scale = rng.standard_normal((3, 12))
    value, _ = reference.log_ratio(outputs, x, mean, log_scale)
    logits, means, raw = outputs[:5], outputs[5:10].copy(), np.clip(outputs[10:], *LOG_SD_RANGE)
    share = np.exp(logits) / np.exp(logits).sum(0)
    means[:N_TIED] = mean + np.exp(log_scale) * means[:N_TIED]
    sd = np.exp(raw)
    sd[:N_TIED] *= np.exp(log_scale)
    density = (share / sd * np.exp(-0.5 * ((x - means) / sd) ** 2)).sum(0)
    np.testing.assert_allclose(value, np.log(density) + 0.5 * x * x, atol=1e-10)
    assert len(logits) == N_COMPONENTS


def test_hidden_layers_are_silu(rng: np.random.Generator) -> None:
    weights = some_weights(rng, "density", 1, n_inputs=7)[0]
    signal = inputs = rng.standard_normal((7, 6))
    start = 0
    for rows, columns in ((32, 8), (32, 33), (15, 33)):
        matrix = weights[start : start + rows * columns].reshape(rows, columns)
        start += rows * columns
        signal = matrix[:, :-1] @ signal + matrix[:, -1:]
        if rows == 32:
            signal = signal / (1 + np.exp(-signal))
    outputs = reference.forward(reference.layers(weights, 7, N_OUTPUTS), inputs).outputs
    np.testing.assert_allclose(outputs, signal, atol=1e-12)
    assert start == len(weights)


def test_the_width_of_a_network_is_read_off_its_length() -> None:
    for n_inputs, width, n_outputs in itertools.product((1, 2, 7, 40), (1, 2, 3, 32, 200), (1, 2, 15, 100)):
        length = width * (n_inputs + 1) + width * (width + 1) + n_outputs * (width + 1)
        assert reference.n_weights(n_inputs, width, n_outputs) == length
        assert reference.n_hidden(length, n_inputs, n_outputs) == width


def test_a_network_of_a_wrong_length_is_an_error(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="flat network of 9 inputs and 15 outputs; got 1000 numbers"):
        reference.layers(np.zeros(1000), 9, N_OUTPUTS)


def test_flips_give_the_mirrored_node(rng: np.random.Generator) -> None:
    data = some_data(rng, 8, 5)
    flips = np.arange(8, dtype=np.uint8)
    signs = np.array([[(-1.0) ** int(code & flip).bit_count() for code in CODES] for flip in flips])
    mirrored = NodeData(
        data.child * np.where(flips & 2, -1, 1)[:, None],
        data.context * signs[:, :5, None],
        data.statistics * signs[:, 5:],
        CODES,
    )
    flipped = reference.gather(data, np.arange(8), np.arange(5), flips)
    for turned, direct in zip(flipped, reference.gather(mirrored, slice(None), slice(None)), strict=True):
        np.testing.assert_array_equal(turned, direct)


@pytest.mark.parametrize("kind", ["density", "contrastive", "contrastive with base"])
@pytest.mark.parametrize(("n_nodes", "n_rows", "dtype"), [(4, 9, np.float64), (1, 1300, np.float32)])
@one_blas_thread()  # or products of float32 round otherwise for as many rows at once than in blocks
def test_the_loss_of_all_pairs_is_minus_the_score(
    rng: np.random.Generator, kind: str, n_nodes: int, n_rows: int, dtype: type
) -> None:
    """To the last digits also where pairs are float32: their sums are float64."""
    data = some_data(rng, n_nodes, n_rows, dtype)
    weights = some_weights(rng, kind.split()[0], 1)[0].astype(dtype)
    everything = (data, np.arange(n_nodes), np.arange(n_rows), np.zeros(n_nodes, np.uint8))
    if kind == "density":
        loss, score = reference.density_gradient(weights, *everything)[0], reference.score_density(weights, data, n_rows, 1)
    else:
        plan = step_plan(1, base="base" in kind, n_shifts=3)
        loss = reference.contrastive_gradient(weights, *everything, plan)[0]
        score = reference.score_contrastive(weights, data, n_rows, plan, 1)
    assert loss == pytest.approx(-score, rel=1e-12)
    if kind == "contrastive":  # f = 0 everywhere: softplus(0) for the pairs, and as much for the shifted ones
        assert reference.contrastive_gradient(0 * weights, *everything, plan)[0] == pytest.approx(2 * np.log(2), rel=1e-7)


def test_more_pairs_than_are_scored_at_once(rng: np.random.Generator) -> None:
    data = some_data(rng, 3, 5000)
    weights = some_weights(rng, "density", 1)[0]
    inputs, child = reference.gather(data, slice(None), slice(0, 4500))
    flat = inputs.reshape(len(inputs), -1)
    outputs = reference.forward(reference.layers(weights, len(flat), N_OUTPUTS), flat).outputs
    mean = reference.log_ratio(outputs, child.ravel(), flat[1], flat[5])[0].mean()
    assert reference.score_density(weights, data, 4500, 1) == pytest.approx(mean, rel=1e-12)


def test_a_gradient_whose_squares_overflow_is_cut() -> None:
    weights, first, second = np.zeros((3, 4), np.float32)
    reference._adamw(weights, first, second, 1, np.full(4, 1e30, np.float32), step_plan(1), 0.0)
    np.testing.assert_allclose(first, 0.1 * 2.5)  # four equal parts of a length of 5


@pytest.mark.parametrize("kind", ["density", "contrastive"])
def test_steps_do_what_the_reference_does(backend: str, rng: np.random.Generator, kind: str) -> None:
    from dualwalk.backends import job

    for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 2e-3)):
        for n_hidden, n_nodes, n_rows in ((32, 6, 50), (16, 3, 97), (48, 1, 5)):
            data = some_data(rng, n_nodes + 2, n_rows + 3, dtype)
            steps = 4
            nodes = np.argsort(rng.random((steps, n_nodes + 2)))[:, :n_nodes].astype(np.int32)
            rows = np.argsort(rng.random((steps, n_rows + 3)))[:, :n_rows].astype(np.int32)
            flips = rng.integers(0, 8, (steps, n_nodes)).astype(np.uint8)
            plan = step_plan(steps, base=True)
            plan = plan._replace(rates=np.array([5e-3, 1e-3, 2e-3, 0.0]))
            start = some_weights(rng, kind, 1, n_hidden=n_hidden)[0].astype(dtype)
            states = []
            for name in ("reference", backend):
                state = (start.copy(), np.full_like(start, 1e-3), np.full_like(start, 1e-4))
                job(f"train_{kind}", name)(*state, 7, data, *(np.ascontiguousarray(a) for a in (nodes, rows, flips)), plan, 1)
                states.append(state)
            for expected, found in zip(*states, strict=True):
                assert np.abs(expected - start).max() > 0
                np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["density", "contrastive"])
def test_long_gradients_are_cut(backend: str, rng: np.random.Generator, kind: str) -> None:
    from dualwalk.backends import job

    data = some_data(rng, 4, 20)
    data.child[...] *= 30
    start = some_weights(rng, kind, 1)[0]
    nodes, rows = np.arange(4, dtype=np.int32)[None], np.arange(20, dtype=np.int32)[None]
    state = (start.copy(), np.zeros_like(start), np.zeros_like(start))
    job(f"train_{kind}", backend)(*state, 0, data, nodes, rows, np.zeros((1, 4), np.uint8), step_plan(1), 1)
    assert np.linalg.norm(10 * state[1]) == pytest.approx(5.0)  # the first moment is a tenth of the gradient


@pytest.mark.parametrize("kind", ["density", "contrastive"])
def test_any_number_of_threads_gives_the_same_bits(backend: str, rng: np.random.Generator, kind: str) -> None:
    train, validation = (chain_data(rng, n, 0.5, n_nodes=20) for n in (130, 40))
    plan = TrainingPlan(n_steps=30, check_every=10)
    results = [
        train_nodes(train, validation, n_members=1, seed=1, kind=kind, plan=plan, n_threads=threads, backend=backend)  # type: ignore[arg-type]
        for threads in (1, 2, 3)
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].weights, other.weights)
        np.testing.assert_array_equal(results[0].validation, other.validation)


def test_extreme_inputs_stay_finite_without_a_warning(backend: str, rng: np.random.Generator) -> None:
    from dualwalk.backends import job

    data = some_data(rng, 2, 3, np.float32)
    data.child[...] = 50.0
    data.context[:, 0] = -1e4
    for kind in ("density", "contrastive"):
        state = tuple(some_weights(rng, kind, 1)[0].astype(np.float32) * share for share in (1, 0, 0))
        nodes, rows = np.arange(2, dtype=np.int32)[None], np.arange(3, dtype=np.int32)[None]
        job(f"train_{kind}", backend)(*state, 0, data, nodes, rows, np.zeros((1, 2), np.uint8), step_plan(1), 1)
        assert all(np.isfinite(part).all() for part in state)


@pytest.mark.parametrize("kind", ["density", "contrastive"])
def test_scores_are_those_of_the_reference(backend: str, rng: np.random.Generator, kind: str) -> None:
    from dualwalk.backends import job

    for dtype, tolerance in ((np.float64, 1e-11), (np.float32, 1e-5)):
        data = some_data(rng, 5, 60, dtype)
        weights = some_weights(rng, kind, 1)[0].astype(dtype)
        extra = () if kind == "density" else (step_plan(0, base=True),)
        for n_rows in (60, 33, 3, 1):
            expected = job(f"score_{kind}", "reference")(weights, data, n_rows, *extra, 1)
            found = [job(f"score_{kind}", backend)(weights, data, n_rows, *extra, threads) for threads in (1, 2)]
            assert found[0] == found[1]
            assert found[0] == pytest.approx(expected, rel=tolerance, abs=tolerance)


def test_training_finds_the_information_of_a_pair(backend: str, rng: np.random.Generator) -> None:
    truth = -0.5 * np.log(1 - 0.8**2)
    train, validation, test = (chain_data(rng, n, 0.8) for n in (300, 80, 4000))
    plan = TrainingPlan(n_steps=400)
    trained = train_nodes(train, validation, n_members=2, seed=0, plan=plan, n_threads=2, backend=backend)
    assert trained.weights.shape[0] == 2
    assert trained.weights.dtype == np.float32
    found = np.array([reference.score_density(weights, test, 4000, 1) for weights in trained.weights])
    assert (found > 0.9 * truth).all()
    assert (found < truth + 0.02).all()


@pytest.mark.parametrize("base", [False, True])
def test_contrastive_training_finds_the_information_of_a_pair(rng: np.random.Generator, base: bool) -> None:
    truth = -0.5 * np.log(1 - 0.8**2)
    train, validation, test = (chain_data(rng, n, 0.8) for n in (300, 80, 2000))
    plan = TrainingPlan(n_steps=300, base=base)
    trained = train_nodes(train, validation, n_members=1, seed=0, kind="contrastive", plan=plan)
    grid = np.tile(np.sort(test.child.ravel())[60::125].astype(np.float32), (6, 1))
    terms = reference_terms(trained.weights, test, grid, base)
    assert terms.mean() > 0.85 * truth
    assert terms.mean() < truth + 0.05


def reference_terms(weights: np.ndarray, data: NodeData, grid: np.ndarray, base: bool) -> np.ndarray:
    from dualwalk.backends import job

    return np.asarray(job("contrastive_terms")(weights, data, grid, np.array([1.0]), base, 1))


@pytest.mark.parametrize("kind", ["density", "contrastive"])
def test_unseen_inputs_change_nothing(rng: np.random.Generator, kind: str) -> None:
    unseen = (3, len(CODES) - 1)
    train, validation = (some_data(rng, 5, n, np.float32) for n in (60, 40))
    plan = TrainingPlan(n_steps=20)
    results = []
    for size in (1.0, 5.0):
        for data in (train, validation):
            data.context[:, 3] *= size
            data.statistics[:, -1] *= size
        results.append(train_nodes(train, validation, n_members=2, seed=0, kind=kind, plan=plan, unseen=unseen))  # type: ignore[arg-type]
    np.testing.assert_array_equal(results[0].weights, results[1].weights)
    n_inputs, n_outputs = (len(CODES), N_OUTPUTS) if kind == "density" else (len(CODES) + 1, 1)
    first = reference.layers(results[0].weights, n_inputs, n_outputs)[0]
    assert (first[:, :, list(unseen)] == 0).all()
    assert (first[:, :, [0, 1, 2, 4]] != 0).all()


def test_training_stops_early_and_says_how_far_it_is(rng: np.random.Generator) -> None:
    train, validation = (chain_data(rng, n, 0.0) for n in (60, 40))
    shares: list[float] = []
    plan = TrainingPlan(n_steps=1000)
    trained = train_nodes(train, validation, n_members=1, seed=0, plan=plan, report=shares.append)
    assert trained.n_steps < 1000
    assert shares == sorted(shares)
    assert shares[-1] == trained.n_steps / 1000


def test_same_seed_same_bits(rng: np.random.Generator) -> None:
    train, validation = (chain_data(rng, n, 0.5) for n in (60, 40))
    plan = TrainingPlan(n_steps=60)
    first, again, other = (train_nodes(train, validation, n_members=2, seed=s, plan=plan).weights for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first[0] != first[1]).any()


def test_members_do_not_depend_on_how_many_there_are(rng: np.random.Generator) -> None:
    train, validation = (chain_data(rng, n, 0.5) for n in (60, 40))
    plan = TrainingPlan(n_steps=40)
    one, three = (train_nodes(train, validation, n_members=count, seed=1, plan=plan).weights for count in (1, 3))
    np.testing.assert_array_equal(one[0], three[0])


@pytest.mark.parametrize("kind", ["density", "contrastive"])
def test_steps_in_two_calls_are_steps_in_one(backend: str, rng: np.random.Generator, kind: str) -> None:
    from dualwalk.backends import job

    data = some_data(rng, 5, 60, np.float32)
    nodes, rows = (np.tile(np.arange(n, dtype=np.int32), (4, 1)) for n in (5, 60))
    flips = rng.integers(0, 8, (4, 5)).astype(np.uint8)
    start = some_weights(rng, kind, 1)[0].astype(np.float32)
    states = []
    for cuts in ([0, 4], [0, 1, 4]):
        state = (start.copy(), np.zeros_like(start), np.zeros_like(start))
        for begin, end in itertools.pairwise(cuts):
            batch = tuple(part[begin:end] for part in (nodes, rows, flips))
            job(f"train_{kind}", backend)(*state, begin, data, *batch, step_plan(end - begin), 1)
        states.append(state)
    for one, two in zip(*states, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_rate_of_its_own_for_every_step(rng: np.random.Generator) -> None:
    train, validation = (chain_data(rng, n, 0.5) for n in (60, 40))
    stopped = np.where(np.arange(60) < 40, 5e-3, 0.0)
    plans = [
        TrainingPlan(n_steps=60, learning_rate=stopped, patience=99),
        TrainingPlan(n_steps=40, learning_rate=5e-3, patience=99),
    ]
    first, second = (train_nodes(train, validation, n_members=1, seed=1, plan=plan) for plan in plans)
    np.testing.assert_array_equal(first.weights, second.weights)


@pytest.mark.parametrize("n_rows", [1, 3])
@pytest.mark.parametrize("kind", ["density", "contrastive"])
def test_a_row_or_three_can_train(backend: str, rng: np.random.Generator, n_rows: int, kind: str) -> None:
    train, validation = (chain_data(rng, n, 0.5, n_nodes=1) for n in (n_rows, 1))
    plan = TrainingPlan(n_steps=40)
    trained = train_nodes(train, validation, n_members=1, seed=0, kind=kind, plan=plan, backend=backend)  # type: ignore[arg-type]
    assert np.isfinite(trained.weights).all()
