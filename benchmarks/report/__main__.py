"""Measure every kernel against its peers and its limit, and write one page: `python -m benchmarks.report`.

Writes FILE (HTML, pictures inside), the same tables as FILE with .md, and what was measured as FILE with .json.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dualwalk import backends

from .page import html_page, markdown_page
from .results import Results

ROOT = Path(__file__).resolve().parents[2]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small cases and few repeats: a look in under a minute")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (1 2)")
    parser.add_argument("--laps", type=int, default=None, help="how often candidates take turns (3; quick: 1)")
    parser.add_argument("--only", default=None, help="cases whose names match this expression of pytest -k")
    parser.add_argument("--out", type=Path, default=Path("kernels.html"), help="the page (kernels.html)")
    parser.add_argument(
        "--render",
        type=Path,
        nargs="+",
        default=None,
        metavar="JSON",
        help="measure nothing: the page of an earlier run, or of its parts",
    )
    return parser.parse_args()


def _run(words: list[str], environment: dict[str, str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, text=True, check=False, **more)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the suites; what pytest-benchmark wrote, with what only this command knows."""
    laps = options.laps or (1 if options.quick else 3)
    threads = sorted({1, *options.threads})
    run = {"command": "python -m benchmarks.report " + shlex.join(sys.argv[1:]), "laps": laps}
    run["load_before"] = list(os.getloadavg()) if hasattr(os, "getloadavg") else []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        environment, compile_seconds = dict(os.environ), {}
        if not options.quick and options.only is None and backends.why_not("numba") is None:
            # Compiled in a process of its own into an empty folder; the suites then load it, as a second run of a user does.
            environment["NUMBA_CACHE_DIR"] = folder
            done = _run(["-m", "benchmarks.kernels.compile_times"], environment, stdout=subprocess.PIPE)
            compile_seconds = json.loads(done.stdout) if done.returncode == 0 else {}
        kept = Path(folder) / "measured.json"
        words = [
            "-m",
            "pytest",
            "benchmarks/kernels",
            "-q",
            "-p",
            "no:cacheprovider",
            "--benchmark-quiet",
            f"--benchmark-json={kept}",
        ]
        words += [f"--bench-laps={laps}", f"--bench-threads={','.join(map(str, threads))}"]
        words += ["--bench-quick"] * options.quick + (["-k", options.only] if options.only else [])
        done = _run(words, environment)
        if not kept.exists() or not kept.stat().st_size:
            raise SystemExit(f"the suites measured nothing (pytest ended with {done.returncode}; its output is above)")
        content = json.loads(kept.read_text())
    run["seconds"] = time.perf_counter() - start
    return {
        "dualwalk": content["dualwalk"],
        "run": run,
        "compile_seconds": compile_seconds,
        "benchmarks": [
            {"extra_info": one["extra_info"], "stats": {"data": one["stats"]["data"]}} for one in content["benchmarks"]
        ],
    }


def together(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The parts of a run, each measured with another `--only`, as one."""
    first, *others = parts
    for part in others:
        first["benchmarks"] += part["benchmarks"]
        first["compile_seconds"] |= part["compile_seconds"]
        for key in ("rates", "skipped"):
            first["dualwalk"][key] += part["dualwalk"][key]
        for key in ("load", "time"):
            first["dualwalk"][key] = part["dualwalk"][key]
        first["run"]["seconds"] += part["run"]["seconds"]
        first["run"]["command"] += f"; {part['run']['command']}"
    return first


def main() -> None:
    options = arguments()
    if options.render is None:
        content = measure(options)
        options.out.with_suffix(".json").write_text(json.dumps(content))
    else:
        content = together([json.loads(path.read_text()) for path in options.render])
    results = Results(content)
    options.out.write_text(html_page(results))
    options.out.with_suffix(".md").write_text(markdown_page(results))
    print(f"{options.out}, {options.out.with_suffix('.md')}")


if __name__ == "__main__":
    main()
