"""Tables, medians and the line that says where numbers were measured, for the scripts of this folder."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np

from dualwalk._config import config_info


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


def header(threads: int) -> str:
    """One line that says where and with what the numbers below were measured."""
    info = config_info()
    return (
        f"{processor()}, {info['platform']}; dualwalk {info['dualwalk']} ({info['simd_level']}), "
        f"NumPy {info['numpy']}; {threads} thread(s)"
    )
