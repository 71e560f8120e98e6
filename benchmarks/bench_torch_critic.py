"""A user's own critic on our kernels and in plain PyTorch: `python benchmarks/bench_torch_critic.py [--out FILE.md]`.

The loops are those of `examples/torch_critic.py`: a step is a fresh shuffle of every column, two passes of a critic 2 x 128, the
Donsker-Varadhan bound, its derivatives and a step of Adam. They take turns, step by step, on equal threads. "CPU" is processor
time over all threads, which other work on the machine changes less than wall time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from _timing import Table, header, median

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import torch_critic as example

SETTINGS = ((512, 64, 60), (1024, 128, 40), (2048, 256, 25), (4096, 512, 10))  # rows, columns, steps
THREADS = (1, 2)
NOTE = (
    "Medians of steps in turns. Shuffles differ from loop to loop, so the bounds agree by chance only as well as two trainings do; "
    "on the same shuffles they agree to rounding (tests/adapters/test_torch_example.py). Where the load is larger than the number "
    "of processors, two threads wait for each other most of the time: one thread then says more."
)


def steps_table(threads: int, compiled: bool) -> Table:
    torch.set_num_threads(threads)
    how = "torch.compile(fullgraph=True)" if compiled else "eager"
    columns = ["rows x columns", "plain torch, ms", "dualwalk, ms", "ratio", "ratio of CPU", "bounds at the end, nats"]
    table = Table(f"A step, {how}, {threads} thread(s)", columns)
    for rows, features, steps in SETTINGS[1:3] if compiled else SETTINGS:
        torch._dynamo.reset()
        plain, ours, *bounds = example.compare(rows, features, steps=steps, compiled=compiled)
        wall = [example.median_ms(trainer.seconds) for trainer in (plain, ours)]
        cpu = [example.median_ms(trainer.processor_seconds) for trainer in (plain, ours)]
        table.row(
            f"{rows} x {features}",
            *(f"{ms:.2f}" for ms in wall),
            f"{wall[0] / wall[1]:.2f}",
            f"{cpu[0] / cpu[1]:.2f}",
            " / ".join(f"{bound:.3f}" for bound in bounds),
        )
    return table


def milliseconds(calls: list[Callable[[], object]], laps: int) -> list[float]:
    """Medians of calls that take turns."""
    spent: list[list[float]] = [[] for _ in calls]
    for lap in range(laps + 1):
        for call, times in zip(calls, spent, strict=True):
            start = time.perf_counter()
            call()
            if lap:
                times.append(1e3 * (time.perf_counter() - start))
    return [median(times) for times in spent]


def parts_table(threads: int) -> Table:
    torch.set_num_threads(threads)
    columns = ["rows x columns", "shuffle: plain, ms", "dualwalk, ms", "bound and derivative: plain, ms", "dualwalk, ms"]
    table = Table(f"Its two parts, {threads} thread(s)", columns)
    for rows, features, steps in SETTINGS:
        x, f, g = example.make_rows(rows, features), *(torch.randn(rows, requires_grad=True) for _ in range(2))
        shuffles = milliseconds([lambda x=x: example.plain_shuffled(x), lambda x=x: example.our_shuffled(x)], steps)
        bounds = milliseconds([lambda b=b, f=f, g=g: b(f, g).backward() for b in (example.plain_bound, example.our_bound)], 100)
        table.row(f"{rows} x {features}", *(f"{ms:.3f}" for ms in (*shuffles, *bounds)))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    lines = [
        "# A critic of one's own: dualwalk's kernels in PyTorch",
        "",
        f"{header(max(THREADS))}; torch {torch.__version__}.",
        "",
    ]
    for threads in THREADS:
        lines += [*steps_table(threads, compiled=False).lines, ""]
    lines += [*steps_table(max(THREADS), compiled=True).lines, ""]
    for threads in THREADS:
        lines += [*parts_table(threads).lines, ""]
    if args.out is not None:
        args.out.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
