"""A user's module, as strict as mypy can be: tests/test_typing.py checks it against the dualwalk that is installed.

Every `assert_type` is a promise: an editor shows this type, and no Any hides a mistake.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import dualwalk as dw
from dualwalk.metrics import Evaluation, evaluate

Floats = NDArray[np.float64]


def strength(X: Floats) -> tuple[float, float]:
    """Nats, and their lower limit."""
    divergence = dw.DualDivergence(cv=3, random_state=0).fit(X)
    assert_type(divergence, dw.DualDivergence)
    assert_type(divergence.divergence_, float)
    assert_type(divergence.divergence_lower_, float)
    assert_type(divergence.p_value_, float | None)
    assert_type(divergence.predict(X), NDArray[np.intp])
    assert_type(divergence.dependence_graph_, dw.DependenceGraph | None)
    unusual: Floats = divergence.score_samples(X)
    terms: Floats = divergence.node_terms(X)
    assert unusual.shape == terms.shape[:1]
    return divergence.divergence_, divergence.divergence_lower_


def more(X: Floats, labels: list[str]) -> NDArray[Any]:
    """New series, and what is known of them."""
    sampler = dw.DualSampler("local", n_neighbors=12, random_state=np.random.default_rng(0)).fit(X, labels)
    assert_type(sampler.choice_.why, str)
    assert_type(sampler.sample(5, "a"), NDArray[Any])
    new, info = sampler.sample(300, min_novelty=0.3, return_info=True)
    assert_type(new, NDArray[Any])
    assert_type(info, dw.SampleInfo)
    assert_type(info.n_rejected, int)
    assert_type(sampler.explain(new), dw.Attribution)
    assert_type(sampler.interpolate(new[0], X[7], n_frames=6), dw.Interpolation)
    hidden = X.copy()
    hidden[:, :, -1] = np.nan
    return sampler.impute(hidden, n_draws=9)


def judged(new: NDArray[Any], train: Floats, held_out: Floats) -> float:
    result = evaluate(new, train, held_out)
    assert_type(result, Evaluation)
    assert_type(dw.independence_test(train).p_value, float)
    assert_type(dw.mutual_information(train, held_out), dw.MutualInformation)
    assert_type(dw.joint_clusters(train).n_clusters, int)
    return dw.mutual_information(train, held_out).estimate


class Bowl:
    """A dual function of one's own, for `walk`."""

    def value_and_gradient(self, x: NDArray[Any], /) -> tuple[NDArray[Any], NDArray[Any]]:
        return -0.5 * (x**2).sum(1), -x


def kernels(x: Floats) -> Floats:
    """The kernels alone."""
    shuffled = dw.permute_marginals(x, n_copies=64, seed=0)
    assert_type(shuffled, NDArray[Any])
    _, gradient = dw.log_mean_exp(x, axis=1, return_gradient=True)
    assert_type(gradient, NDArray[Any])
    bound = dw.donsker_varadhan(x[:, 0], x[:, 1])
    assert_type(bound, dw.Objective)
    ends = dw.walk(Bowl(), x, n_steps=10, step_size=0.1, noise=0.01, seed=0)
    assert_type(ends, dw.WalkResult)
    scores = dw.NormalScores().fit(x)
    assert_type(scores, dw.NormalScores)
    back: Floats = scores.inverse_transform(scores.transform(ends.x))
    return back


def kept(sampler: dw.DualSampler, path: Path) -> dw.DualSampler:
    sampler.save(path)
    assert_type(dw.load(path), Any)  # whatever was saved there
    return dw.load(path, dw.DualSampler)


def refused(X: Floats) -> str:
    try:
        dw.DualDivergence().score_samples(X)
    except dw.NotFittedError as error:
        return str(error)
    return f"dualwalk {dw.__version__}, {dw.show_config()['backend']}"
