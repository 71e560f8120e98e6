"""The real data set inside the package, so that a first try needs neither a download nor a file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test series with their labels, and whom to credit for them."""

    name: str
    X: NDArray[np.float32]
    y: NDArray[np.int64]
    X_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    description: str
    credit: str

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {getattr(self, name).shape}" for name in ("X", "y", "X_test", "y_test"))
        return f"Dataset({self.name!r}, {shapes})"


def load_japanese_vowels() -> Dataset:
    """UCI Japanese Vowels: utterances of /ae/ by nine speakers, 12 LPC cepstrum coefficients at 25 times.

    `X` is (270, 12, 25) float32, 30 utterances of each speaker; `y` is (270,) int64, the speaker 1 to 9; `X_test` is (370,
    12, 25) and `y_test` (370,). The original utterances have 7 to 29 frames; each was resampled to 25 equally spaced times by
    linear interpolation. Every call returns new, writable arrays. M. Kudo, J. Toyama and M. Shimbo (1999), CC BY 4.0.

    >>> vowels = load_japanese_vowels()
    >>> vowels.X.shape, vowels.X.dtype.name, sorted(set(vowels.y.tolist()))
    ((270, 12, 25), 'float32', [1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    arrays: dict[str, NDArray[Any]] = {}
    with (
        (files("dualwalk") / "data" / "japanese_vowels.npz").open("rb") as stream,
        np.load(stream, allow_pickle=False) as stored,
    ):
        for name in ("X", "y", "X_test", "y_test"):
            arrays[name] = stored[name]
    return Dataset(
        name="Japanese Vowels",
        description=(
            "Nine speakers say the vowels /ae/: 12 LPC cepstrum coefficients, each utterance resampled from 7-29 frames to 25 "
            "times by linear interpolation. The label is the speaker."
        ),
        credit=(
            "M. Kudo, J. Toyama, M. Shimbo (1999), Multidimensional curve classification using passing-through regions, "
            "Pattern Recognition Letters 20, 1103-1111; UCI Machine Learning Repository, doi:10.24432/C5NS47, CC BY 4.0."
        ),
        **arrays,
    )
