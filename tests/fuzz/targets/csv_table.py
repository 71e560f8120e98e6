"""Text tables (.csv) as `read_series` reads them, with and without missing values."""

from __future__ import annotations

from ._readers import series_or_error


def one_input(data: bytes) -> None:
    series_or_error(data, ".csv")
    series_or_error(data, ".csv", missing=True, min_samples=1, channels=2)
