"""Every generator on every data set: are its samples new, and can a judge tell them from held-out real ones?

    python benchmarks/bench_generation.py [DATA ...] [--sets vowels italy] [--methods dualwalk smote] [--seeds 3]
        [--cache FOLDER] [--renew dualwalk] [--page out.html] [--table out.md] [--quick] [--literature FOLDER] [--privacy]

DATA are .npz files, or folders of them, with X_train and X_test (and y_train, y_test where there are classes); the variable
DUALWALK_BENCH_DATA may name one folder more. The sets of `series.py` are added, read from packages where these are installed.
Every method is fitted on X_train in a process of its own, draws 300 samples, and is scored against X_test:

    cost = |rf - .5| + |nnc - .5| + (1 - cov) / 2 + |auth - 1| / 2        (0 is perfect; lower is better)

rf      accuracy of a random forest that tells generated from held-out rows (5 folds)
nnc     the same forest on the log distances to the 1st, 2nd and 5th nearest training row: near 1 for copies and for noise
cov     coverage: the share of held-out rows with a generated one nearer than their 5th held-out neighbour
auth    median distance of generated rows to the nearest training row, over that of held-out rows
copies  share of the samples nearer to a training row than the nearest 5 % of held-out rows
second real sample    the floor: rf tells X_train from X_test, the other scores one half of X_test from the other

attack  the largest AUC of six attacks that tell the training rows from held-out ones by the samples (`generation/privacy.py`)

Methods with classes are fitted on the labels too; "synthetic / real" is the held-out accuracy of a forest trained on their
samples, and on the real rows. Seconds are processor seconds of one thread, memory is the rise of the process's peak.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # before NumPy loads: processor seconds are one thread's

import series
from generation import privacy, tables
from generation.runs import SECOND_REAL, Run, run
from generators import METHODS

QUICK_SETS = ("italy", "sines")


def sets_of(data: list[str], wanted: list[str] | None, quick: bool) -> dict[str, series.Series]:
    """The sets by name, with a line on each that is not here."""
    paths: list[Path] = []
    for place in map(Path, [*data, *filter(None, [os.environ.get("DUALWALK_BENCH_DATA")])]):
        paths += sorted(place.glob("*.npz")) if place.is_dir() else [place]
    names = [name for name in series.SETS if not quick or name in QUICK_SETS]
    found: dict[str, series.Series] = {}
    for name in [*names, *paths]:
        stem = Path(name).stem
        if stem in found or (wanted and stem not in wanted):
            continue
        try:
            found[stem] = series.load(str(name))
        except series.NotFound as missing:
            print(f"{stem} left out: {missing}", file=sys.stderr)
    if not found:
        sys.exit(f"no set named {wanted}; python benchmarks/series.py lists what is here")
    return found


def methods_of(wanted: list[str] | None, quick: bool) -> list[str]:
    known = [SECOND_REAL, *METHODS]
    if unknown := set(wanted or []) - set(known):
        sys.exit(f"no method {sorted(unknown)}; there are {', '.join(known)}")
    return wanted or [name for name in known if not quick or name == SECOND_REAL or not METHODS[name].slow]


def machine() -> str:
    found = []
    for package in ("numpy", "scikit-learn", "torch", "dualwalk"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"Python {platform.python_version()}, {', '.join(found)}; {os.cpu_count()} processors, one thread a run"


def document(runs: tables.Runs, sets: dict[str, series.Series], methods: list[str], command: str) -> str:
    """The results as a page of Markdown."""
    plain = [name for name in methods if name == SECOND_REAL or not METHODS[name].with_classes]
    labelled = [name for name in methods if name != SECOND_REAL and METHODS[name].with_classes]
    parts = [f"# Generators against held-out samples\n\n    {command}\n\n{machine()}.", __doc__.split("\n\n", 2)[2].strip()]
    if plain:
        parts += ["## Cost, without labels", tables.costs(runs, sets, plain)]
    with_labels = {name: data for name, data in sets.items() if data.y_train is not None}
    if labelled and with_labels:
        parts += ["## Cost, with classes", tables.costs(runs, with_labels, labelled)]
    if "dualwalk" in methods and SECOND_REAL in methods:
        parts += ["## dualwalk beside the best peer and a second real sample", tables.verdicts(runs, sets, plain)]
    for name, data in sets.items():
        parts += [f"## {name}: {data.shape}, {len(data.X_test)} held out ({data.source})", tables.one_set(runs, name, methods)]
    if left_out := tables.reasons(runs, sets, methods):
        parts += ["## Not run", "\n".join(f"- {line}" for line in left_out)]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", help=".npz files or folders of them")
    parser.add_argument("--sets", nargs="*", help="names of sets (default: all that are found)")
    parser.add_argument("--methods", nargs="*", help=f"of {', '.join([SECOND_REAL, *METHODS])}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer-seeds", type=int, help="seeds of the peers (default: as ours)")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(tempfile.gettempdir()) / "dualwalk-generation",
        help="samples and scores are kept here, and not made again (default: %(default)s)",
    )
    parser.add_argument("--renew", nargs="*", default=[], help="methods to run again though they are in the cache")
    parser.add_argument("--rescore", action="store_true", help="score the samples in the cache again")
    parser.add_argument("--cached", action="store_true", help="run nothing: tables and page from what the cache has")
    parser.add_argument("--quick", action="store_true", help="two sets, one seed, no networks")
    parser.add_argument("--table", type=Path, help="write the tables to this Markdown file too")
    parser.add_argument("--page", type=Path, help="write a page with pictures to this HTML file")
    parser.add_argument(
        "--literature", type=Path, metavar="FOLDER", help="the literature's protocol instead; see generation/literature.py"
    )
    parser.add_argument("--privacy", action="store_true", help="deal all rows at random, and tell of the attacks alone")
    settings = parser.parse_args()
    if settings.literature:
        from generation import literature

        literature.main(settings.literature, settings.sets or list(literature.NAMES), settings.seeds, settings.table)
        return
    sets = sets_of(settings.data, settings.sets, settings.quick)
    methods = methods_of(settings.methods, settings.quick)
    cache, judges = settings.cache, {}
    if settings.privacy:  # other rows to train on: other samples
        sets, cache = {name: privacy.resplit(data) for name, data in sets.items()}, cache / "privacy"
        judges = {"score": privacy.attacked_file, "floor": privacy.attacked_by_chance}
    runs: dict[tuple[str, str], list[Run]] = {}
    for method in methods:
        peer = not method.startswith(("dualwalk", SECOND_REAL))
        n_seeds = 1 if settings.quick else (settings.peer_seeds or settings.seeds) if peer else settings.seeds
        for name, data in sets.items():
            runs[name, method] = [
                run(
                    data,
                    method,
                    seed,
                    cache,
                    renew=method in settings.renew,
                    cached=settings.cached,
                    rescore=settings.rescore,
                    **judges,
                )
                for seed in range(n_seeds)
            ]
            one = runs[name, method]
            score = "attack" if settings.privacy else "cost"
            said = f"{score} {tables.spread(tables.values(one, score))} {one[0].choice}" if one[0].scores else one[0].reason
            print(f"{tables.title(method):26s} {name:14s} {said}", file=sys.stderr, flush=True)
    command = f"python benchmarks/bench_generation.py {' '.join(Path(word).name for word in sys.argv[1:])}"
    if settings.privacy:
        text = privacy.document(runs, sets, methods, command, machine())
    else:
        text = document(runs, sets, methods, command)
    print(text)
    if settings.table:
        settings.table.write_text(text, encoding="utf-8")
    if settings.page:
        from generation import page

        page.write(settings.page, runs, sets, methods, cache)


if __name__ == "__main__":
    main()
