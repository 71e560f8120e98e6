"""The jobs of the command line. What can be refused is refused before any work; output is written last, and whole."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import __version__, _files
from ._nodepath.graph import DependenceGraph
from ._progress import progress
from .datasets import load_japanese_vowels
from .dualspace import false_alarm_rate
from .estimator import DualDivergence
from .independence import independence_test
from .joint import joint_clusters
from .report import words
from .report.nearness import Nearness, nearness
from .report.story import graph_of
from .sampler import DualSampler

MISSING_MATPLOTLIB = 'the report needs matplotlib: pip install "dualwalk[report]"'


def _row(name: str, text: str) -> None:
    print(f"{name:<14}{text}", flush=True)


def _fit_divergence(X: NDArray[Any], seed: int) -> DualDivergence:
    with progress() as show:
        return DualDivergence(random_state=seed).fit(X, progress=show)


def _fit_sampler(X: NDArray[Any], y: NDArray[Any] | None, seed: int, walk: str = "auto") -> DualSampler:
    with progress() as show:
        return DualSampler(walk, random_state=seed).fit(X, y, progress=show)


def _print_divergence(divergence: DualDivergence, p_value: float | None = None) -> None:
    level = f"{100 * divergence.confidence_level:g} %"
    lower, _ = words.with_error(divergence.divergence_lower_, divergence.divergence_se_)
    low, high = map(words.number, divergence.end_points_)
    _row(
        "divergence",
        f"{words.estimate(divergence, '+-')} (total correlation: how strongly a sample's values depend on each other)",
    )
    held_out, _ = words.with_error(divergence.divergence_held_out_, divergence.divergence_se_)
    training, _ = words.with_error(divergence.divergence_training_, divergence.divergence_se_)
    _row("made of", f"{held_out} nats on samples that were held out, {training} on those trained on")
    if divergence.determined_:
        _row("infinite", words.determined(divergence, divergence.feature_shape_))
    _row("lower limit", f"{lower} nats with {level} confidence")
    if p_value is not None:
        _row("dependence", f"{words.p_value(p_value)}")
    alarms = 100 * false_alarm_rate(words.n_held_out(divergence), divergence.confidence_level)
    _row("end points", f"{low} and {high} nats (a new sample of this source falls outside in about {alarms:.1f} % of cases)")
    sizes = np.bincount(divergence.labels_).tolist()
    cuts = ", ".join(
        words.number(cut) + ("" if valley else " (no valley)")
        for cut, valley in zip(divergence.cuts_, divergence.cut_valleys_, strict=True)
    )
    _row("clusters", f"{len(sizes)} of {', '.join(map(str, sizes))} samples; {f'cuts at {cuts} nats' if cuts else 'no cut'}")
    graph = graph_of(divergence)
    if graph is not None:
        for k, (child, parent, nats) in enumerate(words.strongest_edges(graph, divergence.feature_shape_, limit=3)):
            _row("" if k else "leans on", f"{child} on {parent}: {nats} nats")


def _print_nearness(near: Nearness) -> None:
    _row(
        "nearness",
        f"{near.median_ratio:.2f} times as far from the nearest real sample as real ones are (1 is ideal, 0 a copy)",
    )
    _row(
        "near copies",
        f"{near.n_near_copies} of {len(near.ratio)} under half that distance; {near.n_near_copies_real} of "
        f"{len(near.real_ratio)} real ones",
    )


def demo(options: argparse.Namespace) -> None:
    """Everything on the embedded data set."""
    start = time.perf_counter()
    folder = Path(options.out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder} must be a folder; got a file (name another)")
    if not folder.parent.is_dir():
        raise ValueError(
            f"--out {folder} must lie in a folder that exists; got {folder.parent} (create it first: mkdir -p {folder.parent})"
        )
    folder.mkdir(exist_ok=True)
    samples_path = _files.output_file(folder / "samples.npz", ".npz")
    report_path = _files.output_file(folder / "report.html", ".html")
    can_report = _has_matplotlib()
    vowels = load_japanese_vowels()
    print(f"dualwalk {__version__}: {vowels.name}, {len(vowels.X)} series of {words.shape(vowels.X.shape[1:])}, 9 speakers")
    divergence = _fit_divergence(vowels.X, options.seed)
    _print_divergence(divergence)
    sampler = _fit_sampler(vowels.X, vowels.y, options.seed)
    _row("generator", words.generator(sampler))
    y = np.resize(np.unique(vowels.y), options.n)
    X = sampler.sample(options.n, y)
    near = nearness(sampler, X)
    _print_nearness(near)
    _write(samples_path, X, y, near, divergence=divergence, source=vowels.name, credit=vowels.credit, seed=options.seed)
    _row("samples", str(samples_path))
    if can_report:
        from .report import write_report

        title = f"dualwalk on {vowels.name}"
        with progress() as show:
            write_report(
                report_path,
                sampler=sampler,
                divergence=divergence,
                generated=X,
                title=title,
                credit=f"{vowels.description} {vowels.credit}",
                progress=show,
            )
        _row("report", f"{report_path} (open it in a browser)")
    else:
        _row("report", f"not written; {MISSING_MATPLOTLIB}")
    _row("time", f"{time.perf_counter() - start:.0f} s")


def estimate(options: argparse.Namespace) -> None:
    """Total correlation and dual space of a file's samples."""
    X, _ = _files.read_series(options.file, channels=options.channels)
    divergence = _fit_divergence(X, options.seed)
    p_value = independence_test(X, random_state=options.seed).p_value if options.test else None
    if not options.json:
        print(f"dualwalk {__version__}: {options.file}, {len(X)} samples of {words.shape(X.shape[1:])}")
        _print_divergence(divergence, p_value)
        return
    graph = graph_of(divergence)
    content = {
        "file": str(options.file),
        "n_samples": len(X),
        "feature_shape": list(X.shape[1:]),
        "divergence": divergence.divergence_ if np.isfinite(divergence.divergence_) else None,
        "determined": [[int(k) for k in group] for group in divergence.determined_],
        "divergence_se": divergence.divergence_se_,
        "divergence_lower": divergence.divergence_lower_,
        "divergence_held_out": divergence.divergence_held_out_,
        "divergence_training": divergence.divergence_training_,
        "confidence_level": divergence.confidence_level,
        "p_value": p_value,
        "false_alarm_rate": false_alarm_rate(words.n_held_out(divergence), divergence.confidence_level),
        "end_points": divergence.end_points_.tolist(),
        "cuts": divergence.cuts_.tolist(),
        "cut_valleys": divergence.cut_valleys_.tolist(),
        "cluster_sizes": np.bincount(divergence.labels_).tolist(),
        "dependence_graph": None if graph is None else _graph_content(graph),
        "unit": "nats",
        "seed": options.seed,
        "version": __version__,
    }
    print(json.dumps(content, indent=2))


def _graph_content(graph: DependenceGraph) -> dict[str, list[float]]:
    return {"order": graph.order.tolist(), "parents": graph.parents.tolist(), "nats": graph.nats.tolist()}


def cluster(options: argparse.Namespace) -> None:
    """Series of a file that depend on each other: the joint mode."""
    X, _ = _files.read_series(options.file, channels=options.channels)
    found = joint_clusters(X, options.k)
    if options.json:
        content = {
            "file": str(options.file),
            "n_series": len(X),
            "n_clusters": found.n_clusters,
            "labels": found.labels.tolist(),
            "divergence": found.divergence,
            "unit": "nats a step",
            "version": __version__,
        }
        print(json.dumps(content, indent=2))
        return
    print(f"dualwalk {__version__}: {options.file}, {len(X)} series of {words.shape(X.shape[1:])}")
    _row("clusters", f"{found.n_clusters} that hold together by {found.divergence:.3g} nats a step in all")
    for k in range(found.n_clusters):
        members = np.flatnonzero(found.labels == k)
        _row(f"  {k + 1}", f"{len(members)} series, rows {_ranges(members)}")
    alone = np.flatnonzero(found.labels < 0)
    if len(alone):
        _row("alone", f"{len(alone)} series that depend on no other, rows {_ranges(alone)}")


def _ranges(numbers: NDArray[np.intp]) -> str:
    """Increasing row numbers, counted from 1 as people do, as `1-4, 7`."""
    runs = np.split(numbers + 1, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def sample(options: argparse.Namespace) -> None:
    """New samples from a file's samples."""
    path = _files.output_file(options.out, ".npz")
    X, y = _files.read_series(options.file, channels=options.channels)
    y = None if options.no_labels else y
    wanted = _wanted_labels(options.labels, y, options.n)
    sampler = _fit_sampler(X, y, options.seed, options.walk)
    if wanted is None and y is not None:
        wanted = _as_often(y, options.n)
    generated = sampler.sample(options.n, wanted, min_novelty=options.min_novelty)
    near = nearness(sampler, generated)
    print(f"dualwalk {__version__}: {options.file}, {len(X)} samples of {words.shape(X.shape[1:])}")
    _row("generator", words.generator(sampler))
    _print_nearness(near)
    if options.min_novelty:
        _row("refused", f"{sampler.n_rejected_} draws, nearer to a real sample than {options.min_novelty:g} of that distance")
    _write(path, generated, wanted, near, source=str(options.file), seed=options.seed, walk=options.walk)
    _row("samples", str(path))


def report(options: argparse.Namespace) -> None:
    """The HTML report of a file's samples."""
    path = _files.output_file(options.out, ".html")
    from .report import require_matplotlib, write_report

    require_matplotlib()
    X, y = _files.read_series(options.file, channels=options.channels)
    divergence = _fit_divergence(X, options.seed)
    sampler = _fit_sampler(X, None if options.no_labels else y, options.seed)
    with progress() as show:
        title = options.title or f"dualwalk on {Path(options.file).name}"
        write_report(path, sampler=sampler, divergence=divergence, title=title, progress=show)
    _row("report", f"{path} (open it in a browser)")


def config(options: argparse.Namespace) -> None:
    """What this installation can do."""
    from ._config import config_info, show_config

    if options.json:
        print(json.dumps(config_info(), indent=2, default=str))
    else:
        show_config()


def _has_matplotlib() -> bool:
    from .report import require_matplotlib

    try:
        require_matplotlib()
    except ImportError:
        return False
    return True


def _wanted_labels(text: str | None, y: NDArray[Any] | None, n: int) -> NDArray[Any] | None:
    """`--labels A,B` as n labels in equal numbers, each one that the file has."""
    if text is None:
        return None
    if y is None:
        raise ValueError("--labels needs a file with labels; got none (add an array y, or leave --labels and --no-labels out)")
    known = {str(label): label for label in np.unique(y)}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ValueError(
                f"--labels must be labels of the file, separated by commas; got {name!r} (choose among {', '.join(known)})"
            )
    return np.resize(np.array([known[name] for name in names]), n)


def _as_often(y: NDArray[Any], n: int) -> NDArray[Any]:
    """n labels in the file's proportions: every k-th of the sorted ones."""
    return np.sort(y)[(np.arange(n) * len(y) + len(y) // 2) // n]


def _write(
    path: Path,
    X: NDArray[Any],
    y: NDArray[Any] | None,
    near: Nearness,
    *,
    divergence: DualDivergence | None = None,
    **provenance: Any,
) -> None:
    arrays: dict[str, Any] = {"X": X, "nearest_index": near.index, "distance_ratio": near.ratio}
    if y is not None:
        arrays["y"] = y
    if divergence is not None:
        arrays["f"] = divergence.score_samples(X)
    arrays["provenance"] = json.dumps({"made_by": f"dualwalk {__version__}", **provenance, "synthetic": True})
    _files.write_samples(path, **arrays)
