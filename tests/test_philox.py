"""Random draws: published vectors, exact uniformity, and the same integers on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwalk import backends

# Random123's known answers for philox4x32-10: counter, key, output
KNOWN = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_published_vectors(backend: str, counter: list[int], key: list[int], words: list[int]) -> None:
    out = backends.job("philox", backend)(np.array([counter], np.uint32), key[0] | key[1] << 32)
    assert out.dtype == np.uint32
    assert out.tolist() == [words]


@given(
    seed=st.integers(0, 2**64 - 1),
    operation=st.integers(1, 4),
    copy=st.integers(0, 2**32 - 1),
    block=st.integers(0, 2**31 - 1),
    bounds=st.lists(st.integers(1, 2**32 - 1), max_size=40),
)
def test_draws_agree_with_reference(backend: str, seed: int, operation: int, copy: int, block: int, bounds: list[int]) -> None:
    limit = np.array(bounds, np.uint32)
    expected = backends.job("draw_integers", "reference")(seed, operation, copy, block, limit)
    assert np.array_equal(backends.job("draw_integers", backend)(seed, operation, copy, block, limit), expected)
    assert (expected < limit).all()


def test_rejections_agree_with_reference(backend: str, rng: np.random.Generator) -> None:
    bounds = rng.integers(2**31, 2**32, 3000).astype(np.uint32)  # a quarter of the words is rejected
    expected = backends.job("draw_integers", "reference")(7, 2, 1, 5, bounds)
    assert np.array_equal(backends.job("draw_integers", backend)(7, 2, 1, 5, bounds), expected)


def test_draws_are_uniform_where_a_quarter_is_rejected(backend: str) -> None:
    """2**32 words onto 3 * 2**30 numbers: without rejection, one residue modulo 3 would come twice as often as the others."""
    bound, n = 3 * 2**30, 30000
    draws = backends.job("draw_integers", backend)(1, 1, 0, 0, np.full(n, bound, np.uint32)).astype(np.int64)
    for cell, n_cells, limit in ((draws % 3, 3, 13.8), (draws * 12 // bound, 12, 31.3)):  # 99.9 % quantiles of chi square
        counts = np.bincount(cell, minlength=n_cells)
        assert ((counts - n / n_cells) ** 2 / (n / n_cells)).sum() < limit
    assert draws.max() < bound
