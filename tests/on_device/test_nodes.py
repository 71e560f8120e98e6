"""Node networks on the device: every job against the reference, and training against the CPU's, step by step and stop by stop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from _nodes import chain_data, some_data, some_weights

from dualwalk._nodepath.network import NodeData
from dualwalk._nodepath.training import Kind, Task, TrainedNodes, TrainingPlan, train_many, train_nodes
from dualwalk.backends import cuda, reference
from dualwalk.backends._reference_nodes import StepPlan
from on_device.kit import Device

TOLERANCES = {np.float64: 1e-9, np.float32: 2e-3}
kinds = pytest.mark.parametrize("kind", ["density", "contrastive", "contrastive with base"])
dtypes = pytest.mark.parametrize("dtype", TOLERANCES)


def on_device(device: Device, data: NodeData) -> NodeData:
    return NodeData(*(device.put(part) for part in (data.child, data.context, data.statistics)), data.codes)


def some_steps(
    rng: np.random.Generator, data: NodeData, n_nodes: int, n_rows: int, kind: str
) -> tuple[list[np.ndarray], StepPlan]:
    n_steps = 3
    nodes = np.argsort(rng.random((n_steps, data.n_nodes)))[:, :n_nodes].astype(np.int32)
    rows = np.argsort(rng.random((n_steps, data.n_rows)))[:, :n_rows].astype(np.int32)
    flips = rng.integers(0, 8, (n_steps, n_nodes)).astype(np.uint8)
    plan = StepPlan(np.array([5e-3, 1e-3, 2e-3]), 1e-2, 5.0, 2, kind.endswith("base"))
    return [np.ascontiguousarray(part) for part in (nodes, rows, flips)], plan


def steps_on_device(
    device: Device, kind: str, start: np.ndarray, data: NodeData, batches: Any, plan: StepPlan
) -> list[np.ndarray]:
    state = [device.put(part) for part in (start, np.full_like(start, 1e-3), np.full_like(start, 1e-4))]
    sent = [device.put(part) for part in batches]
    getattr(cuda, f"train_{kind.split()[0]}")(*state, 7, on_device(device, data), *sent, plan, 1)
    return [device.get(part) for part in state]


@kinds
@dtypes
def test_steps_do_what_the_reference_does(device: Device, rng: np.random.Generator, kind: str, dtype: type) -> None:
    for n_hidden, n_nodes, n_rows in ((16, 3, 61), (32, 1, 5)):  # more than one block, and a part of one
        data = some_data(rng, n_nodes + 2, n_rows + 3, dtype)
        batches, plan = some_steps(rng, data, n_nodes, n_rows, kind)
        start = some_weights(rng, kind.split()[0], 1, n_hidden=n_hidden)[0].astype(dtype)
        expected = [start.copy(), np.full_like(start, 1e-3), np.full_like(start, 1e-4)]
        getattr(reference, f"train_{kind.split()[0]}")(*expected, 7, data, *batches, plan, 1)
        for ours, theirs in zip(steps_on_device(device, kind, start, data, batches, plan), expected, strict=True):
            assert np.abs(theirs - start).max() > 0
            np.testing.assert_allclose(ours, theirs, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype] * np.abs(theirs).max())


@kinds
def test_any_order_of_threads_gives_the_same_bits(device: Device, any_order: str, kind: str) -> None:
    rng = np.random.default_rng(3)
    data = some_data(rng, 4, 60)
    batches, plan = some_steps(rng, data, 3, 40, kind)
    start = some_weights(rng, kind.split()[0], 1, n_hidden=16)[0]
    found = steps_on_device(device, kind, start, data, batches, plan)
    if device.emulated:
        device.kernels.set_order("forward")
    for ours, forward in zip(found, steps_on_device(device, kind, start, data, batches, plan), strict=True):
        np.testing.assert_array_equal(ours, forward)


def test_a_smaller_device_gives_the_same_bits(device: Device, rng: np.random.Generator) -> None:
    if not device.emulated:
        pytest.skip("a GPU has the size it has")
    data = some_data(rng, 4, 100)
    batches, plan = some_steps(rng, data, 3, 90, "density")
    start = some_weights(rng, "density", 1, n_hidden=16)[0]
    found = []
    for multiprocessors in (4, 1):  # five blocks, or two that take turns
        device.kernels.set_device(multiprocessors=multiprocessors)
        found.append(steps_on_device(device, "density", start, data, batches, plan)[0])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("kind", ["density", "contrastive"])
def test_long_gradients_are_cut(device: Device, rng: np.random.Generator, kind: str) -> None:
    data = some_data(rng, 4, 20)
    data.child[...] *= 30
    start = some_weights(rng, kind, 1, n_hidden=16)[0]
    batch = (np.arange(4, dtype=np.int32)[None], np.arange(20, dtype=np.int32)[None], np.zeros((1, 4), np.uint8))
    first = device.put(np.zeros_like(start))
    plan = StepPlan(np.full(1, 5e-3), 1e-2, 5.0, 2, False)
    state = (device.put(start), first, device.put(np.zeros_like(start)))
    getattr(cuda, f"train_{kind}")(*state, 0, on_device(device, data), *map(device.put, batch), plan, 1)
    assert np.linalg.norm(10 * device.get(first)) == pytest.approx(5.0)  # the first moment is a tenth of the gradient


@kinds
@dtypes
def test_scores_are_those_of_the_reference(device: Device, rng: np.random.Generator, kind: str, dtype: type) -> None:
    data = some_data(rng, 5, 70, dtype)
    weights = some_weights(rng, kind.split()[0], 1, n_hidden=16)[0].astype(dtype)
    plan = StepPlan(np.empty(0), 0.0, 1.0, 3, kind.endswith("base"))
    extra = () if kind == "density" else (plan,)
    for n_rows in (70, 4):
        theirs = getattr(reference, f"score_{kind.split()[0]}")(weights, data, n_rows, *extra, 1)
        ours = getattr(cuda, f"score_{kind.split()[0]}")(device.put(weights), on_device(device, data), n_rows, *extra, 1)
        assert float(ours) == pytest.approx(theirs, rel=TOLERANCES[dtype] / 10)


# training as a whole


def fit(kind: str, train: NodeData, validation: NodeData, plan: TrainingPlan, **how: Any) -> TrainedNodes:
    plan = replace(plan, base=kind.endswith("base"))
    job: Kind = "density" if kind == "density" else "contrastive"
    return train_nodes(train, validation, seed=1, kind=job, plan=plan, **how)


def two_sets(rng: np.random.Generator, dtype: type = np.float64, n_rows: int = 40) -> tuple[NodeData, NodeData]:
    return chain_data(rng, n_rows, 0.5, n_nodes=5, dtype=dtype), chain_data(rng, n_rows // 2, 0.5, n_nodes=5, dtype=dtype)


@kinds
def test_training_goes_the_way_of_the_cpu(device: Device, rng: np.random.Generator, kind: str) -> None:
    train, validation = two_sets(rng)
    plan = TrainingPlan(n_steps=25, n_rows=24, n_nodes=3, check_every=2, patience=3, n_shifts=2, learning_rate=5e-2)
    theirs = fit(kind, train, validation, plan, n_members=2, unseen=(2,), backend="reference")
    ours = fit(kind, on_device(device, train), on_device(device, validation), plan, n_members=2, unseen=(2,))
    assert ours.n_steps == theirs.n_steps
    weights = device.get(ours.weights)
    assert weights.dtype == np.float64
    np.testing.assert_allclose(weights, theirs.weights, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(ours.validation, theirs.validation, rtol=1e-8)


def test_training_stops_where_the_cpu_stops(device: Device, rng: np.random.Generator) -> None:
    train, validation = two_sets(rng)
    validation = replace(validation, child=-validation.child)  # what is learned is wrong there
    plan = TrainingPlan(n_steps=60, n_rows=24, n_nodes=3, check_every=2, patience=2, learning_rate=2e-2)
    theirs = fit("density", train, validation, plan, n_members=2, backend="reference")
    ours = fit("density", on_device(device, train), on_device(device, validation), plan, n_members=2)
    assert ours.n_steps == theirs.n_steps < 60
    np.testing.assert_allclose(device.get(ours.weights), theirs.weights, rtol=1e-7, atol=1e-8)


def tasks_on_device(device: Device, rng: np.random.Generator) -> list[Task]:
    """Two configurations whose steps have different numbers of pairs, and one that sees the second's batches."""
    sets = [[on_device(device, data) for data in two_sets(rng, np.float32, n_rows)] for n_rows in (40, 80)]
    return [Task(*sets[0], 1, ("a",)), Task(*sets[1], 2, ("b",)), Task(*sets[1], 1, ("b",), unseen=(2,))]


@pytest.mark.parametrize("kind", ["density", "contrastive"])
def test_tasks_at_once_are_what_they_are_alone(device: Device, rng: np.random.Generator, kind: Kind) -> None:
    plan = TrainingPlan(n_steps=5, n_rows=70, n_nodes=4, check_every=2, n_shifts=2)
    tasks, shares = tasks_on_device(device, rng), []
    together = train_many(tasks, seed=5, kind=kind, plan=plan, report=shares.append, n_threads=2)
    for task, found in zip(tasks, together, strict=True):
        how = {"path": task.path, "unseen": task.unseen, "n_members": task.n_members}
        alone = train_nodes(task.train, task.validation, seed=5, kind=kind, plan=plan, **how)
        np.testing.assert_array_equal(device.get(found.weights), device.get(alone.weights))
        np.testing.assert_array_equal(found.validation, alone.validation)
    assert shares[-1] == 1.0


def test_training_is_the_same_in_any_order_and_on_any_device(device: Device, any_order: str) -> None:
    plan = TrainingPlan(n_steps=4, n_rows=70, n_nodes=4, check_every=2)
    tasks = tasks_on_device(device, np.random.default_rng(8))
    found = [train_many(tasks, seed=5, plan=plan)]
    if device.emulated:
        device.kernels.set_order("forward")
        device.kernels.set_device(multiprocessors=1)  # three blocks at once: one network after the other, groups in turns
    found.append(train_many(tasks, seed=5, plan=plan))
    for first, second in zip(*found, strict=True):
        np.testing.assert_array_equal(device.get(first.weights), device.get(second.weights))
        np.testing.assert_array_equal(first.validation, second.validation)


def test_one_row_is_its_own_negative(device: Device, rng: np.random.Generator) -> None:
    train, validation = (
        replace(part, child=part.child[:, :n].copy(), context=part.context[..., :n].copy())
        for part, n in zip(two_sets(rng), (9, 1), strict=True)
    )
    plan = TrainingPlan(n_steps=3, check_every=2)
    theirs = fit("contrastive", train, validation, plan, n_members=1, backend="reference")
    ours = fit("contrastive", on_device(device, train), on_device(device, validation), plan, n_members=1)
    np.testing.assert_allclose(device.get(ours.weights), theirs.weights, rtol=1e-7, atol=1e-8)


def test_a_backend_of_the_host_is_refused(device: Device, rng: np.random.Generator) -> None:
    sets = [on_device(device, data) for data in two_sets(rng)]
    with pytest.raises(ValueError, match="backend='reference' works in the host's memory"):
        train_nodes(*sets, n_members=1, seed=1, backend="reference")


def test_no_steps_leave_the_start(device: Device, rng: np.random.Generator) -> None:
    sets = [on_device(device, data) for data in two_sets(rng)]
    found = train_nodes(*sets, n_members=2, seed=1, plan=TrainingPlan(n_steps=0))
    assert found.n_steps == 0
    assert (found.validation == -np.inf).all()
    assert np.isfinite(device.get(found.weights)).all()


def test_many_tasks_on_the_cpu_are_one_after_the_other(rng: np.random.Generator) -> None:
    train, validation = two_sets(rng)
    plan = TrainingPlan(n_steps=4, n_rows=24, n_nodes=3, check_every=2)
    shares: list[float] = []
    found = train_many([Task(train, validation, 1), Task(train, validation, 2)], seed=5, plan=plan, report=shares.append)
    for task, n_members in zip(found, (1, 2), strict=True):
        alone = train_nodes(train, validation, n_members=n_members, seed=5, plan=plan)
        np.testing.assert_array_equal(task.weights, alone.weights)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


# terms and slopes


def extra_of(kind: str) -> tuple[bool, ...]:
    return () if kind == "density" else (kind.endswith("base"),)


@kinds
@dtypes
def test_terms_are_those_of_the_reference(device: Device, rng: np.random.Generator, kind: str, dtype: type) -> None:
    alphas = np.array([0.0, 0.3, 1.0, 1.2])
    for n_members, n_rows, count in ((2, 17, 10), (1, 1, 1), (1, 0, 5)):
        data = some_data(rng, 4, n_rows, dtype)
        weights = some_weights(rng, kind.split()[0], n_members, n_hidden=16 * n_members).astype(dtype)
        grid = np.sort(rng.standard_normal((4, count)), axis=1).astype(dtype)
        theirs = getattr(reference, f"{kind.split()[0]}_terms")(weights, data, grid, alphas, *extra_of(kind), 1)
        arrays = device.put(weights), on_device(device, data), device.put(grid)
        ours = device.get(getattr(cuda, f"{kind.split()[0]}_terms")(*arrays, alphas, *extra_of(kind), 1))
        assert ours.shape == (4, 4, n_rows)
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=TOLERANCES[dtype] / 10, atol=TOLERANCES[dtype] / 10)


@kinds
@dtypes
def test_slopes_are_those_of_the_reference(device: Device, rng: np.random.Generator, kind: str, dtype: type) -> None:
    data = some_data(rng, 3, 30, dtype)
    weights = some_weights(rng, kind.split()[0], 2, n_hidden=16).astype(dtype)
    grid = np.sort(rng.standard_normal((3, 14)), axis=1).astype(dtype)
    theirs = getattr(reference, f"{kind.split()[0]}_slopes")(weights, data, grid, 0.8, *extra_of(kind), 1)
    arrays = device.put(weights), on_device(device, data), device.put(grid)
    ours = getattr(cuda, f"{kind.split()[0]}_slopes")(*arrays, 0.8, *extra_of(kind), 1)
    for found, part in zip(ours, theirs, strict=True):
        assert found.dtype == part.dtype == dtype
        np.testing.assert_allclose(device.get(found), part, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype] * np.abs(part).max())


@kinds
def test_slopes_are_the_same_in_any_order(device: Device, any_order: str, kind: str) -> None:
    rng = np.random.default_rng(4)
    data = some_data(rng, 3, 15, np.float32)
    weights = some_weights(rng, kind.split()[0], 2, n_hidden=16).astype(np.float32)
    arrays = device.put(weights), on_device(device, data), device.put(rng.standard_normal((3, 9)).astype(np.float32))
    slopes = getattr(cuda, f"{kind.split()[0]}_slopes")
    found = slopes(*arrays, 0.8, *extra_of(kind), 1)
    if device.emulated:
        device.kernels.set_order("forward")
    for ours, forward in zip(found, slopes(*arrays, 0.8, *extra_of(kind), 1), strict=True):
        np.testing.assert_array_equal(device.get(ours), device.get(forward))


def test_a_child_out_of_reach_of_the_grid_is_capped(device: Device, rng: np.random.Generator) -> None:
    data = some_data(rng, 2, 5, np.float32)
    data.context[:, 1] = 200.0  # every component that is tied sits far away
    data.statistics[:, 0] = -3.0
    data.child[...] = 200.0
    weights = some_weights(rng, "density", 1, spread=0.0).astype(np.float32)
    grid = np.sort(rng.standard_normal((2, 30)), axis=1).astype(np.float32)
    arrays = device.put(weights), on_device(device, data), device.put(grid)
    np.testing.assert_allclose(device.get(cuda.density_terms(*arrays, np.array([1.0]), 1)), np.log(30), rtol=1e-6)
    assert all(np.isfinite(device.get(part)).all() for part in cuda.density_slopes(*arrays, 1.0, 1))


def test_a_wrong_call_does_not_touch_memory(device: Device, rng: np.random.Generator) -> None:
    data = on_device(device, some_data(rng, 2, 5))
    weights = device.put(some_weights(rng, "density", 1, n_hidden=16))
    with pytest.raises(ValueError, match="hidden width is a multiple of 16"):
        cuda.score_density(weights[0, 1:], data, 5, 1)
    with pytest.raises(ValueError, match="n_rows must be rows of the data"):
        cuda.score_density(weights[0], data, 6, 1)
    with pytest.raises(ValueError, match="context must be"):
        cuda.score_density(weights[0], replace(data, context=data.context[:, :, :4]), 5, 1)
    with pytest.raises(ValueError, match="grid must be"):
        cuda.density_terms(weights, data, device.put(np.zeros((1, 3))), np.ones(1), 1)


def test_a_network_too_large_for_the_device_is_told(device: Device, rng: np.random.Generator) -> None:
    data = on_device(device, some_data(rng, 2, 5))
    weights = device.put(some_weights(rng, "density", 1, n_hidden=512))
    with pytest.raises(
        RuntimeError, match=r"score_density: the network needs \d+ bytes of shared memory, .*take fewer hidden units"
    ):
        cuda.score_density(weights[0], data, 5, 1)
