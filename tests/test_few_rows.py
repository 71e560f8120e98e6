"""The fewest rows that a fit takes: rough, and told so, but no error."""

from __future__ import annotations

import numpy as np
import pytest

from dualwalk.estimator import DualDivergence


@pytest.mark.filterwarnings("ignore::UserWarning")  # of ours, all of them right
@pytest.mark.parametrize("n", [8, 9, 11])
@pytest.mark.parametrize("d", [4, 9, 24])
def test_a_handful_of_rows_is_few_but_no_error(n, d, rng):
    """Folds of four rows: what is singular there is no candidate."""
    X = rng.normal(size=(n, d)).cumsum(axis=1)
    for blocks in (None, np.arange(d) // 2):
        model = DualDivergence(cv=2, n_fits=1, blocks=blocks, random_state=0).fit(X)
        assert np.isfinite(model.divergence_held_out_)
        assert model.divergence_lower_ <= model.divergence_held_out_
