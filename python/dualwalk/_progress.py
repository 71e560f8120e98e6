"""What a long job says while it runs: a bar where rich and a terminal are, a plain line now and then elsewhere, on stderr."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol, Self


class Progress(Protocol):
    """A context manager that is called with work done, work in all, and what is being done."""

    def __call__(self, done: int, total: int, text: str) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class Lines:
    """A line when the job changes or every few seconds; nothing for work that takes less than a second."""

    def __init__(self, *, every: float = 5.0, quiet_for: float = 1.0) -> None:
        self.every = every
        self.text = ""
        self.next_time = time.monotonic() + quiet_for

    def __call__(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if now >= self.next_time:
            share = f" {100 * done // max(total, 1)} %"
            print(f"dualwalk: {text}{share}", file=sys.stderr, flush=True)
            self.next_time = now + self.every

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None


class Bar:
    """rich's bar, drawn by the caller's own calls (no refresh thread), gone when the job is done."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        console = Console(stderr=True)
        self.progress: Any = RichProgress(*columns, console=console, auto_refresh=False, transient=True)
        self.task = self.progress.add_task("starting", total=1)
        self.next_time = 0.0

    def __call__(self, done: int, total: int, text: str) -> None:
        self.progress.update(self.task, completed=done, total=max(total, 1), description=f"{text:<44.44}")
        now = time.monotonic()
        if now >= self.next_time:
            self.progress.refresh()
            self.next_time = now + 0.1

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()


def progress() -> Progress:
    """The bar where it can be drawn, lines elsewhere."""
    if sys.stderr.isatty():
        try:
            return Bar()
        except ImportError:
            pass
    return Lines()
