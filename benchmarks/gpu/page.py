"""Results as Markdown: what was measured on what, and one short table for a terminal."""

from __future__ import annotations

import math
from typing import Any

from .measure import OURS


def markdown(results: dict[str, Any]) -> str:
    """The page: the device, the table, what was left out and why."""
    about = results["about"]
    lines = ["# CUDA kernels", "", *(f"- {key}: {value}" for key, value in about.items()), "", *table(results["rows"]), ""]
    lines += [
        "Time: median of rounds of calls between two CUDA events, ours and the peers in turns. Limit: the memory traffic or the",
        "arithmetic that no implementation can do without, at the rates measured right before (last table). A ratio is the peer's",
        "time over ours. Error: of the result, measured first; `bits`: whether two calls gave the same ones.",
        "",
        *rates(results["rows"]),
    ]
    failed = [(row, name, why) for row in results["rows"] for name, why in row["failed"].items()]
    if failed:
        lines += ["", "## Not measured", "", *(f"- {row['job']}: {row['size']}: {name}: {why}" for row, name, why in failed)]
    if results["left"]:
        lines += ["", "## Left for want of time", "", *(f"- {name}" for name in results["left"])]
    return "\n".join(lines) + "\n"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """One line a case: ours, share of the limit, ratio to each peer, goals and whether they are met."""
    lines = ["| job | dualwalk | of the limit | against peers | error | bits | goal | met |", "| --- " * 8 + "|"]
    for row in rows:
        time = row["times"].get(OURS)
        limit = row["limit"]
        cells = [
            f"{row['job']}: {row['size']}",
            seconds(time["seconds"]) if time else "failed",
            f"{100 * limit['share']:.0f} % of {limit['binds']}" if limit and time else "",
            ", ".join(f"{name} {ratio(value)}" for name, value in row["ratios"].items()),
            f"{row['errors'][OURS]:.1e}" if OURS in row["errors"] else "",
            {True: "same", False: "DIFFER", None: ""}[row.get("same_bits")],
            ", ".join(wanted(name, goal["wanted"]) for name, goal in row["goals"].items()),
            met(row),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def rates(rows: list[dict[str, Any]]) -> list[str]:
    """The device's rates: least and most over the run."""
    found: dict[str, list[float]] = {}
    for row in rows:
        for resource, rate in (row["limit"] or {"rates": {}})["rates"].items():
            found.setdefault(resource, []).append(rate)
    lines = ["| limit | least | most |", "| --- | --- | --- |"]
    for resource, values in sorted(found.items()):
        memory = resource in ("read", "write", "copy")
        scale, unit = (1e9, "GB/s") if memory else (1e12, "TFLOP/s")
        lines.append(f"| {resource} | {min(values) / scale:.4g} {unit} | {max(values) / scale:.4g} {unit} |")
    return lines


def met(row: dict[str, Any]) -> str:
    if OURS in row["failed"]:
        return "FAILED"
    if not row["right"]:
        return "WRONG"
    return ", ".join("yes" if goal["met"] else "no" for goal in row["goals"].values())


def wanted(name: str, value: float) -> str:
    return f"{100 * value:.0f} % of the limit" if name == "limit" else f"{name} {ratio(value)}"


def ratio(value: float) -> str:
    return f"{value:.3g}x" if math.isfinite(value) else "-"


def seconds(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"
