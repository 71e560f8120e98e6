"""The example of a user's own critic: the same losses on our kernels and in plain torch, and both learn."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
from extras import needs, script

torch = needs("torch")
EXAMPLE = Path(__file__).parents[2] / "examples/torch_critic.py"
pytestmark = [
    pytest.mark.skipif(not EXAMPLE.exists(), reason="needs the source tree"),
    pytest.mark.usefixtures("one_torch_thread"),
]


@pytest.fixture(scope="module")
def example() -> Any:
    return script(EXAMPLE)


def test_the_same_rows_give_the_same_losses(example: Any) -> None:
    torch.manual_seed(1)
    x, critic = example.make_rows(128, 6), example.make_critic(6, 16)
    bounds = []
    for bound in (example.plain_bound, example.our_bound):
        torch.manual_seed(2)  # of the shuffles
        trainer = example.Trainer(copy.deepcopy(critic), example.our_shuffled, bound, False)
        bounds.append([trainer.step(x) for _ in range(10)])
    assert bounds[1] == pytest.approx(bounds[0], abs=1e-5)


def test_both_shuffles_keep_columns_and_break_rows(example: Any) -> None:
    x = example.make_rows(2000, 4)
    for shuffled in (example.plain_shuffled(x), example.our_shuffled(x)):
        assert torch.equal(shuffled.sort(0).values, x.sort(0).values)
        assert torch.corrcoef(x.T)[0, 1] > 0.4
        assert torch.corrcoef(shuffled.T)[0, 1].abs() < 0.1


def test_both_learn_the_divergence(example: Any) -> None:
    plain, ours, plain_value, our_value = example.compare(1000, 2, width=16, steps=100)
    truth = -0.5 * math.log(1 - 0.5**2)  # of two Gaussian columns at correlation 0.5
    assert len(plain.seconds) == len(ours.seconds) == 100
    assert plain_value == pytest.approx(truth, abs=0.08)
    assert our_value == pytest.approx(truth, abs=0.08)
