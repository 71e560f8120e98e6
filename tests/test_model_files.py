"""Model files: a fitted model comes back with the same bits, and a file that is damaged or forged ends in one clear error."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from _series import series, two_classes

import dualwalk as dw


def same(a, b, at="", done=None):
    """Equal to the bit, down to the last attribute; what is computed when it is asked for may be there or not."""
    done = set() if done is None else done
    if id(a) in done:
        return
    done.add(id(a))
    assert type(a) is type(b), (at, type(a), type(b))
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), at
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), at
        for k, pair in enumerate(zip(a, b, strict=True)):
            same(*pair, f"{at}[{k}]", done)
    elif isinstance(a, dict):
        assert list(a) == list(b), at
        for key in a:
            same(a[key], b[key], f"{at}[{key!r}]", done)
    elif isinstance(a, float):
        assert repr(a) == repr(b), at
    elif type(a).__module__.startswith("dualwalk"):
        names = {name for name in {*vars(a), *vars(b)} if not callable(getattr(type(a), name, None))}
        caches = {name for name in names if hasattr(getattr(type(a), name, None), "attrname")}
        for name in sorted(names - caches - LAZY):
            same(getattr(a, name), getattr(b, name), f"{at}.{name}", done)
    elif isinstance(a, (np.random.Generator, np.random.RandomState)):
        assert repr(a.__getstate__()) == repr(b.__getstate__()), at
    else:
        assert a == b, at


LAZY = {"_marginals", "_noise", "_found", "_known", "_kept"}  # filled at a first use


def returned(model, **kinds):
    """The model, written and read; the file is the same each time."""
    stream = io.BytesIO()
    model.save(stream)
    again = dw.load(stream)
    second = io.BytesIO()
    again.save(second)
    assert second.getvalue() == stream.getvalue()
    return again


def sampler_of(walk="auto", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dw.DualSampler(walk, random_state=3).fit(series(), **options)


@pytest.mark.parametrize("walk", ["auto", "local", "mixture", "gradient", "renoised", "langevin"])
def test_samplers_come_back(walk):
    model = sampler_of(walk)
    again = returned(model)
    same(model, again)
    assert repr(again) == repr(model)
    assert again.choice_.why == model.choice_.why
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(model.sample(7, return_info=True), again.sample(7, return_info=True))


def test_a_sampler_with_labels_and_groups_does_all_that_it_did():
    model, X, _ = two_classes()
    again = returned(model)
    same(model, again)
    for y in (None, "rare", "left"):
        same(model.sample(9, y=y, balanced=False), again.sample(9, y=y, balanced=False))
    same(model.sample(9, min_novelty=0.2), again.sample(9, min_novelty=0.2))
    holes = X[:4].copy()
    holes[:, 0] = np.nan
    same(model.impute(holes, 2, y=["left"] * 4), again.impute(holes, 2, y=["left"] * 4))
    same(model.walk(X[:3]), again.walk(X[:3]))
    same(model.explain(X[:3]), again.explain(X[:3]))
    same(model.interpolate(X[:2], X[40]), again.interpolate(X[:2], X[40]))
    same(model.nearest(X[:3]), again.nearest(X[:3]))
    same(returned(model), model)  # with what the calls have left behind


def test_a_divergence_comes_back():
    X = series()
    model = dw.DualDivergence(cv=2, reverse=True, n_permutations=19, random_state=0).fit(X)
    again = returned(model)
    same(model, again)
    assert repr(again) == repr(model)
    same(model.score_samples(X), again.score_samples(X))
    same(model.node_terms(X), again.node_terms(X))
    same(model.predict(X), again.predict(X))
