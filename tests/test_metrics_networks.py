"""The literature's scores: what is predictable and what is not, known in advance (PyTorch)."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dualwalk import metrics
from dualwalk.metrics.networks import in_pieces
from dualwalk.metrics.series_scores import _past_and_next


def test_pieces_keep_every_value_in_order():
    series = np.arange(2 * 3 * 100.0).reshape(2, 3, 100)
    pieces = in_pieces(series)
    assert pieces.shape == (2, 34, 9)
    back = pieces.reshape(2, 34, 3, 3).transpose(0, 2, 1, 3).reshape(2, 3, 102)
    np.testing.assert_array_equal(back[..., :100], series)
    np.testing.assert_array_equal(back[..., 100:], series[..., -1:].repeat(2, axis=-1))
    np.testing.assert_array_equal(in_pieces(series[..., :48]), series[..., :48].transpose(0, 2, 1))


def test_past_and_next():
    series = np.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    past, following = _past_and_next(series, -1)
    np.testing.assert_array_equal(past[1], series[1, :2, :3].T)
    np.testing.assert_array_equal(following[1], series[1, 2:, 1:].T)
    past, following = _past_and_next(series, None)
    np.testing.assert_array_equal(past[0], series[0, :, :3].T)
    np.testing.assert_array_equal(following[0], series[0, :, 1:].T)
    past, following = _past_and_next(series[:, :1], 0)
    np.testing.assert_array_equal(past[0], series[0, :1, :3].T)
    np.testing.assert_array_equal(following[0], series[0, :1, 1:].T)


def test_without_torch():
    """In a process of its own, where torch is not loaded yet and cannot be found."""
    program = """
import sys
import numpy as np
from dualwalk import metrics
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ImportError("No module named 'torch'")
sys.meta_path.insert(0, Nowhere())
x = np.random.default_rng(0).standard_normal((20, 6))
for score in (lambda: metrics.classifier_two_sample(x, x, classifier="gru"), lambda: metrics.predictive_score(x, x)):
    try:
        score()
    except ImportError as error:
        print(error)
"""
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.count("pip install torch") == 2


def test_arguments_are_checked(rng):
    x = rng.standard_normal((20, 2, 6))
    with pytest.raises(ValueError, match="at least 10 samples; got 9"):
        metrics.discriminative_score(x, x[:9])
    with pytest.raises(ValueError, match="channel must be one of the 2 channels, or None; got 2"):
        metrics.predictive_score(x, x, channel=2)
    with pytest.raises(ValueError, match="at least two times"):
        metrics.predictive_score(x[..., :1], x[..., :1])
    with pytest.raises(ValueError, match="train must be finite"):
        metrics.predictive_score(x, x, train=x * np.inf)
    with pytest.raises(ValueError, match="n_repeats must be at least 1"):
        metrics.discriminative_score(x, x, n_repeats=0)


def autoregressive(n: int, rng: np.random.Generator, memory: float = 0.9) -> np.ndarray:
    """(n, 2, 10) of deviation 1 at every time."""
    x = rng.standard_normal((n, 2, 10))
    for t in range(1, 10):
        x[..., t] = memory * x[..., t - 1] + np.sqrt(1 - memory**2) * x[..., t]
    return x


@pytest.mark.parametrize("classifier", ["gru", "convolution"])
def test_networks_see_order_in_time(classifier, rng):
    pytest.importorskip("torch")
    real, made = autoregressive(80, rng), autoregressive(80, rng)
    same = metrics.classifier_two_sample(real, made, classifier=classifier, cv=2)
    assert same.trusted
    assert same.control_accuracy > 0.75
    assert abs(same.accuracy - 0.5) < 4 * same.se
    noise = rng.standard_normal(real.shape)  # the same marginals
    assert metrics.classifier_two_sample(real, noise, classifier=classifier, cv=2, self_check=False).p_value < 1e-4


def test_discriminative_score(rng):
    torch = pytest.importorskip("torch")
    real, made = autoregressive(100, rng), autoregressive(100, rng)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    same = metrics.discriminative_score(real, made, n_repeats=2)
    assert (before == torch.random.get_rng_state()).all(), "the caller's generator is left alone"
    assert threads == torch.get_num_threads()
    assert same.trusted
    assert same.reference > 0.35
    assert same.value < 0.2, "40 rows are judged: luck gives .06"
    assert same == metrics.discriminative_score(real, made, n_repeats=2)
    assert metrics.discriminative_score(real, made + 5, n_repeats=1, self_check=False).value > 0.45


def test_a_recurrent_judge_that_sees_nothing_says_so(rng):
    pytest.importorskip("torch")
    with pytest.warns(metrics.JudgeWarning, match="recurrent judge tells only") as caught:
        found = metrics.discriminative_score(rng.standard_normal((40, 1, 8)), rng.standard_normal((40, 1, 8)), n_repeats=1)
    assert not found.trusted
    assert caught[0].filename == __file__


def test_predictive_score_of_series_that_tell_their_future(rng):
    pytest.importorskip("torch")

    def waves(n: int) -> np.ndarray:
        sign = rng.choice([-1.0, 1.0], (n, 1, 1)) * (-1.0) ** np.arange(12)
        return np.concatenate([sign, -sign], axis=1)

    found = metrics.predictive_score(waves(100), waves(100), n_repeats=1)
    assert found.trusted
    assert found.value < 0.1, "the last channel at t + 1 is the first at t; the median is off by .5"
    assert found.reference < 0.1
    wrong = waves(100) * np.array([1.0, -1.0])[:, None]
    assert metrics.predictive_score(waves(100), wrong, n_repeats=1, self_check=False).value > 0.9


def test_predictive_score_of_noise_is_the_medians(rng):
    pytest.importorskip("torch")
    real, made = rng.random((2, 150, 2, 10))
    with pytest.warns(metrics.JudgeWarning, match="nothing here to predict") as caught:
        found = metrics.predictive_score(real, made, channel=None, n_repeats=1)
    assert caught[0].filename == __file__
    assert not found.trusted
    assert found.value == pytest.approx(0.25, abs=0.01)
    assert found.reference == pytest.approx(0.25, abs=0.02)
