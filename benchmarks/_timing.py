"""Fair timings: candidates take turns in one process, the median and the range are kept, an error stands beside the speed."""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dualwalk._config import config_info


def in_turns(candidates: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every candidate, called in turns after one call to warm up."""
    for call in candidates.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, call in candidates.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def processor() -> str:
    """The processor's name, as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


class Table:
    """Rows of a Markdown table, printed as they come and kept for a file."""

    def __init__(self, title: str, columns: list[str]) -> None:
        self.lines: list[str] = []
        self.add(f"## {title}", "", f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}")

    def add(self, *lines: str) -> None:
        for line in lines:
            print(line, flush=True)
            self.lines.append(line)

    def row(self, *cells: object) -> None:
        self.add(f"| {' | '.join(str(cell) for cell in cells)} |")


def median(values: list[float]) -> float:
    return float(np.median(values))


def options(description: str) -> argparse.Namespace:
    """Command line of every kernel benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    return parser.parse_args()


def header(threads: int) -> str:
    """One line that says where and with what the numbers below were measured."""
    info = config_info()
    return (
        f"{processor()}, {info['platform']}; dualwalk {info['dualwalk']} ({info['simd_level']}), "
        f"NumPy {info['numpy']}; {threads} thread(s)"
    )
