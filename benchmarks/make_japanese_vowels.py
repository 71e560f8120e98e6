"""Regenerate python/dualwalk/data/japanese_vowels.npz from the UEA archive's files, so that its provenance can be checked.

    pip download --no-deps aeon && unzip -q aeon-*.whl 'aeon/datasets/data/JapaneseVowels/*'
    python benchmarks/make_japanese_vowels.py aeon/datasets/data/JapaneseVowels [--check]

`--check` compares with the file in the repository and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

N_CHANNELS, N_TIMES = 12, 25
TARGET = Path(__file__).parent.parent / "python" / "dualwalk" / "data" / "japanese_vowels.npz"


def resample(values: NDArray[np.float64], n_times: int = N_TIMES) -> NDArray[np.float64]:
    """One channel of any length at `n_times` equally spaced places from its first to its last step, joined by straight lines."""
    return np.interp(np.linspace(0, len(values) - 1, n_times), np.arange(len(values)), values)


def read_ts(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The series of a .ts file: a line a series, channels separated by ':', the label last."""
    lines = path.read_text(encoding="utf-8").splitlines()
    series, labels = [], []
    for line in lines[lines.index("@data") + 1 :]:
        *channels, label = line.split(":")
        assert len(channels) == N_CHANNELS, (path, len(channels))
        series.append([resample(np.array(channel.split(","), dtype=np.float64)) for channel in channels])
        labels.append(int(label))
    return np.array(series, dtype=np.float32), np.array(labels, dtype=np.int64)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with JapaneseVowels_TRAIN.ts and JapaneseVowels_TEST.ts")
    parser.add_argument("--check", action="store_true", help="compare with the file in the repository, write nothing")
    arguments = parser.parse_args()
    arrays = {}
    for part, suffix in (("TRAIN", ""), ("TEST", "_test")):
        arrays[f"X{suffix}"], arrays[f"y{suffix}"] = read_ts(arguments.folder / f"JapaneseVowels_{part}.ts")
    if arguments.check:
        with np.load(TARGET, allow_pickle=False) as stored:
            same = set(stored.files) == set(arrays) and all(np.array_equal(stored[name], arrays[name]) for name in arrays)
        print("the same arrays" if same else "DIFFERENT arrays")
        return 0 if same else 1
    np.savez_compressed(TARGET, **arrays)
    print(f"{TARGET}: {TARGET.stat().st_size} bytes, " + ", ".join(f"{k} {v.shape} {v.dtype}" for k, v in arrays.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
