"""Kernels and draws in the worker processes of a PyTorch DataLoader: the bits of the parent, which has used its threads before."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest
from extras import needs

from .kit import kernels, small_fits, uses

torch = needs("torch")


class Made(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
    """Row k: a drawn series, and whether the worker's kernels and estimators give the bits that the parent's gave."""

    def __init__(self) -> None:
        self.fitted = small_fits()
        self.expected = kernels(None, 3) + uses(*self.fitted)

    def __len__(self) -> int:
        return 12

    def __getitem__(self, k: int) -> tuple[np.ndarray, bool]:
        well = kernels(None, 3) + uses(*self.fitted) == self.expected
        return self.fitted[1].sample(1, seed=k)[0].astype(np.float32), well


@pytest.mark.parametrize("method", [way for way in ("fork", "spawn") if way in multiprocessing.get_all_start_methods()])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")  # of JAX, which other tests have loaded
def test_a_data_loader(method: str) -> None:
    rows = Made()
    loader = torch.utils.data.DataLoader(rows, batch_size=3, num_workers=2, multiprocessing_context=method)
    batches, well = zip(*loader, strict=True)
    assert torch.cat(well).all()
    expected = np.stack([rows.fitted[1].sample(1, seed=k)[0] for k in range(12)])
    np.testing.assert_array_equal(torch.cat(batches).numpy(), expected.astype(np.float32))
    assert kernels(None, 3) + uses(*rows.fitted) == rows.expected
