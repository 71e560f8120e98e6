"""Wrong calls of the compiled module, which only our own code makes: faults that fuzzing or reading found, one by one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

core = pytest.importorskip("dualwalk._core", reason="needs the compiled kernels")

X = np.arange(12.0).reshape(4, 3)
BLOCKS = np.arange(3, dtype=np.int32)


def permuted(x: Any = X, block: Any = BLOCKS, operation: Any = 1, out: Any = None, longest: Any = 28672) -> Any:
    out = np.zeros((1, *x.shape), x.dtype) if out is None else out
    core.permute_marginals(x, block, operation, 0, out, 1, longest)
    return out


def moved(array: np.ndarray, n_bytes: int) -> np.ndarray:
    """The same numbers `n_bytes` behind where they belong."""
    room = np.zeros(array.nbytes + n_bytes, np.uint8)[n_bytes:].view(array.dtype).reshape(array.shape)
    room[...] = array
    return room


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"x": X.astype(object)}, "without objects"),  # their counts of references would be wrong
        ({"out": np.zeros((1, 4, 3), np.int64)}, "one dtype"),
        ({"out": X[None]}, "overlap"),
        ({"out": moved(X[None], 1)}, "aligned"),
        ({"x": moved(X.astype(np.complex64), 4)}, "aligned"),  # NumPy asks for 4 bytes; 8 are moved
        ({"x": np.zeros((4, 3), "S8,S1")["f0"]}, "aligned"),
        ({"operation": 5}, "operation"),
        ({"longest": 2**32 - 1}, "longest"),  # offsets in a tile have 32 bits
        ({"block": BLOCKS - 1}, "negative"),
    ],
)
def test_permute_marginals_refuses(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        permuted(**wrong)


def test_lists_and_fractions_are_not_converted() -> None:
    for wrong in ({"out": [[[0.0] * 3] * 4]}, {"operation": np.array(1.5)}):
        with pytest.raises(TypeError):
            permuted(**wrong)
    with pytest.raises(TypeError):
        core.draw_normals(0, np.array(0.5), 1, 1)


def test_a_result_whose_strides_are_no_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="2\\^40"):
        core.log_mean_exp(np.zeros((0, 1, 2**60), np.float32), None, None, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_overlap_nothing_and_lie_as_the_values_do(dtype: type) -> None:
    f = np.ones((2, 3, 4), dtype)
    for gradient, words in ((f, "overlap"), (moved(f, 1), "like f"), (np.ones((4, 3, 2), dtype), "like f")):
        with pytest.raises(ValueError, match=words):
            core.log_mean_exp(f, None, gradient, 1)
    with pytest.raises(TypeError):
        core.log_mean_exp(moved(f, 1), None, None, 1)


def test_work_that_is_no_number_has_no_threads() -> None:
    for work in (float("nan"), float("inf"), -1.0):
        with pytest.raises(ValueError, match="work"):
            core.threads_for(work, 4)
    with pytest.raises(ValueError, match="n_threads"):
        core.threads_for(1.0, 0)


def test_scores_of_no_nodes_read_nothing() -> None:
    child, context, statistics = np.zeros((0, 5)), np.zeros((0, 2, 5)), np.zeros((0, 1))
    weights = np.zeros(16 * 4 + (16 + 15) * 17)
    codes = np.array([1, 2, 0], np.uint8)
    with pytest.raises(ValueError, match="nodes there must be one"):
        core.score_nodes(weights, child, context, statistics, codes, 5, 0, False, 1)
    with pytest.raises(ValueError, match="n_shifts"):  # would be at work for ever
        core.score_nodes(weights, child, context, statistics, codes, 5, 2**63, False, 1)


def test_bools_are_0_or_1_and_places_within_a_rank() -> None:
    points, table = np.zeros((3, 2)), np.zeros((4, 2))
    with pytest.raises(ValueError, match="tied"):
        core.balance_columns(points, np.zeros(3), table, np.full(2, 2, np.uint8).view(bool), 1)
    with pytest.raises(ValueError, match="place"):
        core.balance_columns(points, np.full(3, np.nan), table, np.zeros(2, bool), 1)


class FreshPlan(SimpleNamespace):
    """A plan that makes its trajectory anew at each look, and keeps none."""

    @property
    def trajectory(self) -> np.ndarray:
        return np.zeros((2, 1001, 300))


def test_a_trajectory_lives_as_long_as_its_walk() -> None:
    dual = [np.zeros((1, 300)), -np.ones((1, 300)), np.zeros((1, 1, 300)), np.zeros(1)]
    numbers = {"n_steps": 1000, "step_size": 0.1, "noise": 0.0, "tolerance": 1e-3, "seed": 0, "n_threads": 1}
    plan = FreshPlan(**numbers, target=None, low=None, high=None)
    for _ in range(20):
        _, steps, _ = core.walk_local(np.ones((2, 300)), *dual, plan, None)
        assert steps.tolist() == [1000, 1000]


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [("n_steps", 1.5, TypeError), ("step_size", np.nan, ValueError), ("noise", -1.0, ValueError), ("seed", None, TypeError)],
)
def test_a_plan_has_numbers_that_mean_something(field: str, value: Any, error: type[Exception]) -> None:
    dual = [np.zeros((1, 3)), -np.ones((1, 3)), np.zeros((1, 1, 3)), np.zeros(1)]
    numbers = {"n_steps": 1, "step_size": 0.1, "noise": 0.0, "tolerance": 1e-3, "seed": 0, "n_threads": 1}
    plan = SimpleNamespace(**(numbers | {field: value}), target=None, low=None, high=None, trajectory=None)
    x = np.ones((2, 3))
    with pytest.raises(error, match=field):
        core.walk_local(x, *dual, plan, None)
    assert (x == 1).all()
    delattr(plan, field)
    with pytest.raises(TypeError, match=f"plan must have the field {field}"):
        core.walk_local(x, *dual, plan, None)
