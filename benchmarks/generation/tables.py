"""The runs of a benchmark as Markdown: one cost table over all sets, one table of scores a set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from generators import METHODS
from series import Series

from .runs import SECOND_REAL, Run

Runs = Mapping[tuple[str, str], list[Run]]  # by set and method: one run a seed


def title(method: str) -> str:
    return "second real sample" if method == SECOND_REAL else METHODS[method].title


def values(runs: Iterable[Run], score: str) -> np.ndarray:
    return np.array([run.scores[score] for run in runs if score in run.scores])


def spread(numbers: np.ndarray, digits: int = 2) -> str:
    """Mean, and the deviation over seeds where there are several."""
    if not len(numbers):
        return ""
    mean = f"{numbers.mean():.{digits}f}"
    return mean if len(numbers) == 1 else f"{mean} ± {numbers.std(ddof=1):.{digits}f}"


def costs(runs: Runs, sets: Mapping[str, Series], methods: list[str]) -> str:
    """Rows are sets, columns methods; the lowest mean cost of a row is in bold, and the median over sets stands below."""
    shown = [method for method in methods if any(len(values(runs[name, method], "cost")) for name in sets)]
    lines = ["| set | X_train | " + " | ".join(map(title, shown)) + " |", "|---" * (len(shown) + 2) + "|"]
    table = np.array([[mean(runs[name, method], "cost") for method in shown] for name in sets])
    rivals = np.array([method != SECOND_REAL for method in shown], dtype=bool)
    for (name, data), row in zip(sets.items(), table, strict=True):
        best = np.nanmin(np.where(rivals, row, np.nan)) if np.isfinite(row[rivals]).any() else np.nan
        cells = [
            "" if np.isnan(v) else f"**{v:.2f}**" if rival and v == best else f"{v:.2f}"
            for v, rival in zip(row, rivals, strict=True)
        ]
        lines.append(f"| {name} | {data.shape} | " + " | ".join(cells) + " |")
    full = np.isfinite(table)
    medians = [
        f"{np.median(column[known]):.2f}" + ("" if known.all() else f" ({known.sum()})")
        for column, known in zip(table.T, full.T, strict=True)
    ]
    lines.append("| median (of so many sets) | | " + " | ".join(medians) + " |")
    return "\n".join(lines)


def mean(runs: Iterable[Run], score: str) -> float:
    numbers = values(runs, score)
    return float(numbers.mean()) if len(numbers) else np.nan


COLUMNS = {
    "cost": "cost",
    "forest": "rf",
    "memorization": "nnc",
    "coverage": "cov",
    "authenticity": "auth",
    "copies": "copies",
    "attack": "attack",
}


def one_set(runs: Runs, name: str, methods: list[str]) -> str:
    """All methods on one set: scores with their spread over seeds, seconds and memory."""
    labelled = any("tstr" in run.scores for method in methods for run in runs[name, method])
    head = [
        "method",
        "seeds",
        *COLUMNS.values(),
        *(["synthetic / real"] if labelled else []),
        "fit CPU s",
        "µs a sample",
        "MiB",
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for method in methods:
        done = [run for run in runs[name, method] if run.scores]
        if not done:
            continue
        cells = [title(method), str(len(done)), *(spread(values(done, score)) for score in COLUMNS)]
        if labelled:
            cells.append(
                " / ".join(f"{mean(done, score):.3f}" for score in ("tstr", "trtr")) if "tstr" in done[0].scores else ""
            )
        if method == SECOND_REAL:
            cells += ["", "", ""]
        else:
            numbers = np.mean([[run.fit_seconds, run.sample_microseconds, run.memory_mib] for run in done], axis=0)
            cells += [f"{numbers[0]:.2g}" if numbers[0] < 10 else f"{numbers[0]:.0f}", f"{numbers[1]:.0f}", f"{numbers[2]:.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def reasons(runs: Runs, sets: Mapping[str, Series], methods: list[str]) -> list[str]:
    """What was not run, and why, once a reason."""
    found: dict[str, list[str]] = {}
    for name in sets:
        for method in methods:
            for run in runs[name, method][:1]:
                if run.reason and run.reason != "no labels":
                    found.setdefault(f"{title(method)}: {run.reason}", []).append(name)
    return [f"{reason} ({', '.join(names)})" for reason, names in found.items()]


def verdicts(runs: Runs, sets: Mapping[str, Series], methods: list[str], ours: str = "dualwalk") -> str:
    """How our sampler stands against what was asked of it: the best peer, the second real sample, copies, labels."""
    lines = [
        "| set | ours | best peer | ours - best | rf - second real | copies % | synthetic - real |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in sets:
        if np.isnan(own := mean(runs[name, ours], "cost")):
            continue
        peers = {m: mean(runs[name, m], "cost") for m in methods if not m.startswith((ours, SECOND_REAL))}
        peers = {m: cost for m, cost in peers.items() if np.isfinite(cost)}
        best = min(peers, key=lambda m: peers[m]) if peers else None
        beside = f"{title(best)} {peers[best]:.2f} | {own - peers[best]:+.2f}" if best else " | "
        forest = mean(runs[name, ours], "forest") - mean(runs[name, SECOND_REAL], "forest")
        labelled = runs[name, f"{ours}-y"]
        gap = mean(labelled, "tstr") - mean(labelled, "trtr")
        lines.append(
            f"| {name} | {own:.2f} | {beside} | {forest:+.2f} | {100 * mean(runs[name, ours], 'copies'):.0f} | "
            + ("" if np.isnan(gap) else f"{gap:+.3f}")
            + " |"
        )
    return "\n".join(lines)
