"""`dualwalk sample`: new samples from a file's samples, or from a fitted sampler."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from .._arrays import distinct
from ..report import words
from ..report.nearness import Nearness, nearness
from ..sampler import DualSampler
from .fitting import fit_sampler, read
from .output import Output, columns, writable, write


def run(options: argparse.Namespace) -> None:
    path = writable(options.out, ".npz", ".npy", ".csv")
    save = options.save and writable(options.save, ".npz")
    out = Output(options, path)
    sampler, wanted = _sampler(options)
    generated = sampler.sample(options.n, wanted, min_novelty=options.min_novelty, seed=options.seed if options.model else None)
    near = nearness(sampler, generated)
    source = options.file or options.model
    out.line(f"dualwalk {__version__}: {source}, {len(sampler.X_)} samples of {words.shape(sampler.feature_shape_)}")
    out.row("generator", words.generator(sampler))
    tell_nearness(out, near)
    if options.min_novelty:
        out.row(
            "refused", f"{sampler.n_rejected_} draws, nearer to a real sample than {options.min_novelty:g} of that distance"
        )
    if save is not None:
        sampler.save(save)
        out.row("model", save)
    walk = sampler.get_params()["walk"]
    write(path, arrays(generated, wanted, near, source=source, seed=options.seed, walk=walk), columns(generated, wanted))
    out.row("samples", path)
    out.result(
        job="sample",
        file=source,
        n_samples=len(generated),
        feature_shape=sampler.feature_shape_,
        **content(sampler, near),
        seed=options.seed,
        out=path,
        model=save,
    )


def _sampler(options: argparse.Namespace) -> tuple[DualSampler, NDArray[Any] | None]:
    """A fitted sampler, and the label of every sample to make."""
    if options.model is None:
        if options.file is None:
            raise ValueError("sample needs FILE, the real samples, or --model, a fitted sampler (see dualwalk sample --help)")
        X, y = read(options)
        y = None if options.no_labels else y
        wanted = _wanted(options, y)  # refused before the fit
        return fit_sampler(options, X, y, walk=options.walk or "auto", device=options.device), wanted
    given = {"FILE": options.file, "--channels": options.channels, "--walk": options.walk, "--save": options.save}
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name} and --model exclude each other: a fitted sampler has its samples and its walk (leave one out)"
            )
    sampler = DualSampler.load(options.model)
    return sampler, None if options.no_labels else _wanted(options, sampler.y_)


def _wanted(options: argparse.Namespace, y: NDArray[Any] | None) -> NDArray[Any] | None:
    """`--labels A,B` as n labels in equal numbers, each one that the file has; without, labels as often as the file has them."""
    if options.labels is None:
        return None if y is None else _as_often(y, options.n)
    if y is None:
        raise ValueError("--labels needs a file with labels; got none (add an array y, or leave --labels and --no-labels out)")
    known = {str(label): label for label in distinct(y)}
    names = [name.strip() for name in options.labels.split(",")]
    for name in names:
        if name not in known:
            raise ValueError(
                f"--labels must be labels of the file, separated by commas; got {name!r} (choose among {', '.join(known)})"
            )
    return np.resize(np.array([known[name] for name in names]), options.n)


def _as_often(y: NDArray[Any], n: int) -> NDArray[Any]:
    """n labels in the file's proportions: every k-th of the sorted ones."""
    return np.sort(y)[(np.arange(n) * len(y) + len(y) // 2) // n]


def tell_nearness(out: Output, near: Nearness) -> None:
    """New, or copied? In words."""
    out.row(
        "nearness",
        f"{near.median_ratio:.2f} times as far from the nearest real sample as real ones are (1 is ideal, 0 a copy)",
    )
    out.row(
        "near copies",
        f"{near.n_near_copies} of {len(near.ratio)} under half that distance; {near.n_near_copies_real} of "
        f"{len(near.real_ratio)} real ones",
    )
    if near.too_near is not None:
        out.row("too near", f"{near.too_near} (--min-novelty refuses such samples)")


def content(sampler: DualSampler, near: Nearness) -> dict[str, Any]:
    """How the samples were made, and how near to real ones they are, for machines."""
    return {
        "generator": words.generator(sampler),
        "nearness": near.median_ratio,
        "near_copies": near.n_near_copies,
        "near_copies_share": near.n_near_copies / len(near.ratio),
        "real_near_copies_share": near.n_near_copies_real / len(near.real_ratio),
        "nearest": float(near.ratio[near.closest]) if len(near.ratio) else None,
        "too_near": near.too_near,
        "n_rejected": sampler.n_rejected_,
    }


def arrays(X: NDArray[Any], y: NDArray[Any] | None, near: Nearness, **origin: Any) -> dict[str, Any]:
    """What an .npz of samples holds."""
    provenance = json.dumps({"made_by": f"dualwalk {__version__}", **origin, "synthetic": True})
    found = {"X": X, "nearest_index": near.index, "distance_ratio": near.ratio, "provenance": provenance}
    return found if y is None else {**found, "y": y}
