"""Measure the CUDA kernels on this machine's GPU: `python -m benchmarks.gpu --out FOLDER`."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dualwalk import _device

from ..kernels.machine import commit
from .case import Case, all_cases
from .clock import Clock
from .limits import Limits
from .measure import OURS, failed, measure
from .page import markdown, seconds, table


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    cases = chosen(all_cases(), options.only, options.quick)
    if options.list:
        print("\n".join(case.name for case in cases))
        return 0
    reason = _device.why_not()
    if reason is not None:
        print(f"benchmarks.gpu: {reason}", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    results = run(cases, options.seconds, options.out)
    print("\n".join(table(results["rows"])))
    if results["left"]:
        print(f"left for want of time: {', '.join(results['left'])}")
    return 0 if all(row["right"] for row in results["rows"]) else 1


def run(cases: list[Case], budget: float, out: Path) -> dict[str, Any]:
    """Every case that starts within `budget` seconds; what is known is written after each."""
    xp = _device.cupy()
    clock = Clock(xp)
    limits = Limits(xp, clock)
    limits.rate("copy")  # the first work on a device that was idle raises its clocks
    start = time.perf_counter()
    rows: list[dict[str, Any]] = []
    left: list[str] = []
    results = {"about": description(), "rows": rows, "left": left}
    for case in cases:
        if time.perf_counter() - start > budget:
            left.append(case.name)
            write(results, out)
            continue
        began = time.perf_counter()
        try:
            rows.append(measure(case, xp, clock, limits))
        except Exception as error:  # noqa: BLE001 - inputs that could not be made, say; what was measured so far is kept
            rows.append(failed(case, f"{type(error).__name__}: {error}"))
        write(results, out)
        time_of = rows[-1]["times"].get(OURS)
        said = seconds(time_of["seconds"]) if time_of else rows[-1]["failed"][OURS]
        print(f"{case.name}: {said} ({time.perf_counter() - began:.1f} s in all)", flush=True)
    return results


def write(results: dict[str, Any], out: Path) -> None:
    (out / "benchmarks.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / "benchmarks.md").write_text(markdown(results))


def description() -> dict[str, str]:
    """What the numbers were measured on and with."""
    facts = _device.kernels().facts()
    versions = {"Python": platform.python_version()}
    for package in ("dualwalk", "numpy", "cupy-cuda13x", "cupy-cuda12x", "torch"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "device": f"{facts['device']}, capability {facts['capability']}, {facts['multiprocessors']} multiprocessors",
        "driver": f"{driver()} (CUDA {facts['driver']})",
        "CUDA runtime": f"{facts['runtime']}, kernels built for {facts['architectures']}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "command": " ".join(["python -m benchmarks.gpu", *sys.argv[1:]]),
        "commit": os.environ.get("DUALWALK_COMMIT") or commit(),
        "time": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }


def driver() -> str:
    """The driver's own version, as nvidia-smi tells it."""
    if shutil.which("nvidia-smi") is None:
        return "driver of unknown version"
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    said = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.split()
    return said[0] if said else "driver of unknown version"


def chosen(cases: list[Case], only: str, quick: bool) -> list[Case]:
    """The cases whose name holds one of the words of `only`, parted by commas, those with goals first; in a quick run its own."""
    words = [word.strip().lower() for word in only.split(",") if word.strip()]
    found = [case for case in cases if (case.quick or not quick) and any(word in case.name.lower() for word in words or [""])]
    return sorted(found, key=lambda case: not case.goals)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu-results"), help="folder of benchmarks.json and benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="the cases marked quick alone")
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="cases whose name holds one of these words, parted by commas"
    )
    parser.add_argument("--seconds", type=float, default=150.0, help="start no case after this time")
    parser.add_argument("--list", action="store_true", help="name the cases and measure nothing")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
