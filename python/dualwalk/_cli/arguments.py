"""The words of the command line: every job's options and help. Nothing that does the work is imported here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from .. import __version__, _checks
from .._sampler import WALKS
from . import JOBS

DESCRIPTION = """\
New multivariate time series from a few hundred real ones, and how strongly the real ones' values depend on each other
(total correlation, in nats), by walks in the dual space of that divergence.
"""
EPILOG = """\
examples:
  dualwalk demo                                             try it on a data set that comes along
  dualwalk estimate series.npz                              divergence, its lower limit, clusters
  dualwalk estimate series.npz --save divergence.npz        and keep the fitted model in a file
  dualwalk score new.npz --model divergence.npz             is each new series like those?
  dualwalk sample series.npz -n 500 --out new.npz           500 new series
  dualwalk evaluate new.npz --train a.npz --held-out b.npz  how good they are
  dualwalk impute gaps.npz --train series.npz --out full.npz
  dualwalk report series.npz --out report.html              pictures and numbers in one page
  cat series.csv | dualwalk sample - -n 9 --out - | head    in a pipe

A FILE is .npy, .npz or .csv, or - for the same on stdin: at least 8 samples of shape (features) or (channels, times), finite
numbers, nothing pickled. What a job finds goes to stdout (with --json as one JSON object), progress and warnings to stderr.

exit status: 0 done; 2 bad usage or input (one line on stderr says what and how to mend it); 130 stopped by Ctrl-C; 1 anything
else, with a traceback: please report it. Output files are written whole or not at all.

environment: DUALWALK_NUM_THREADS, DUALWALK_BACKEND and DUALWALK_SIMD, as `dualwalk config` shows them.
"""
FILE_HELP = """\
FILE is
  .npz  with the array X, or X_train, or one 2-D or 3-D array only; labels, if any, as y or y_train
  .npy  with X alone
  .csv  with a sample a row, header or not; labels, if any, in a column named y, label, labels or class
  -     any of these on stdin
X has the shape (n_samples, n_features) or (n_samples, n_channels, n_times); --channels shapes rows of features into channels.
"""
SAMPLES_HELP = """\
OUT is written by its ending
  .npz  arrays X, nearest_index, distance_ratio, provenance, and y where there are labels
  .npy  X alone
  .csv  a sample a row, with a header; labels in a last column y
  -     .csv on stdout, for a pipe (what else there is to say then goes to stderr)
"""


class UsageError(ValueError):
    """A command line that cannot be understood."""


class Parser(argparse.ArgumentParser):
    """argparse, whose errors are one line: what is wrong and where help is."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def _number(name: str, minimum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            return _checks.count(int(text), name, minimum=minimum)
        except ValueError as error:
            wanted = f"{name} must be a whole number; got {text!r} (pass one of at least {minimum})"
            raise argparse.ArgumentTypeError(str(error) if text.lstrip("+-").isdigit() else wanted) from None

    return parse


def _real(name: str, **limits: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{name} must be a real number; got {text!r} (pass a number)") from None
        try:
            return _checks.real(number, name, **limits)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def _blocks(text: str) -> list[int] | str:
    """`channels`, or integers with commas between them."""
    if text == "channels":
        return text
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        wanted = "--blocks must be the word channels, or whole numbers with commas between them, one a feature or channel"
        raise argparse.ArgumentTypeError(f"{wanted}; got {text!r} (as 0,0,1,1)") from None


class _Jobs:
    """The subcommands, and the options that several of them have."""

    def __init__(self, main: argparse.ArgumentParser) -> None:
        self.parsers = main.add_subparsers(dest="job", metavar="JOB", parser_class=Parser, title="jobs")

    def add(
        self, name: str, text: str, *examples: str, files: str = "", instead: str = "", more: str = ""
    ) -> argparse.ArgumentParser:
        """A job. `files` says what FILE is to it; "" where it takes none. `instead` names the option that can take its place."""
        notes = (
            FILE_HELP if files else "",
            more,
            "\n".join(["examples:", *(f"  dualwalk {name} {line}" for line in examples)]),
        )
        job = self.parsers.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog="\n".join(note for note in notes if note) + "\n",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if files:
            if instead:
                job.add_argument("file", metavar="FILE", nargs="?", help=f"{files}; leave it out with {instead}")
            else:
                job.add_argument("file", metavar="FILE", help=files)
            job.add_argument(
                "--channels", type=_number("--channels", 1), metavar="C", help="each row is C channels, one after the other"
            )
        return job

    def output(self, job: argparse.ArgumentParser) -> argparse._ArgumentGroup:
        """What every job has."""
        group = job.add_argument_group("running and output")
        group.add_argument("--json", action="store_true", help="print one JSON object on stdout and nothing else")
        group.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr; warnings and errors stay")
        return group

    def working(self, job: argparse.ArgumentParser, *, device: bool = False) -> None:
        """What jobs have that work for a while."""
        group = self.output(job)
        group.add_argument(
            "--seed", type=_number("--seed", 0), default=0, metavar="S", help="same seed, same result (default 0)"
        )
        group.add_argument(
            "--threads", type=_number("--threads", 1), metavar="T", help="threads to use (default: all that are allowed)"
        )
        if device:
            group.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to work (default cpu)")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    main = Parser(
        prog="dualwalk",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    main.add_argument("--version", action="version", version=f"dualwalk {__version__}")
    jobs = _Jobs(main)
    for name in JOBS:
        globals()[f"_add_{name}"](jobs)
    return main


def _add_demo(jobs: _Jobs) -> None:
    job = jobs.add("demo", "fit, sample and report on real speech data that comes along; no network needed", "", "--out first")
    job.add_argument("--out", default="dualwalk-demo", metavar="FOLDER", help="where to write (default dualwalk-demo)")
    job.add_argument("-n", type=_number("-n", 1), default=300, metavar="N", help="how many new series (default 300)")
    jobs.working(job)


def _add_estimate(jobs: _Jobs) -> None:
    job = jobs.add(
        "estimate",
        "total correlation of the samples' values, in nats, and the dual space",
        "series.npz",
        "series.npz --json --save divergence.npz",
        "series.npz --blocks channels",
        files="the samples",
    )
    job.add_argument("--test", action="store_true", help="test by permutations whether there is any dependence at all")
    job.add_argument("--reverse", action="store_true", help="also estimate KL(product of marginals || joint)")
    job.add_argument(
        "--blocks", type=_blocks, metavar="B",
        help="count dependence between blocks only: the word channels, or a number for each feature or channel (0,0,1,1)",
    )  # fmt: skip
    job.add_argument(
        "--cv", type=_number("--cv", 1), default=5, metavar="K", help="folds; 1 holds a fifth out once (default 5)"
    )
    job.add_argument(
        "--confidence", type=_real("--confidence", above=0.0, below=1.0), default=0.95, metavar="P",
        help="of the lower limit, and the share of samples that the end points hold (default 0.95)",
    )  # fmt: skip
    job.add_argument("--save", metavar="MODEL.npz", help="write the fitted model, for score and report")
    jobs.working(job, device=True)


def _add_score(jobs: _Jobs) -> None:
    job = jobs.add(
        "score",
        "f of samples, and whether each could come from the source of the samples that a model was fitted on",
        "new.npz --model divergence.npz",
        "new.csv --train series.csv --json",
        "new.npz --model divergence.npz --out scores.csv",
        files="the samples to look at; one is enough",
        more="OUT holds f (nats), inside (1 or 0), p_value and, as .npz, terms: each value's share of f.\n",
    )
    model = job.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", metavar="MODEL.npz", help="a model that `dualwalk estimate --save` wrote")
    model.add_argument("--train", metavar="FILE", help="or the samples to fit one on")
    job.add_argument("--out", metavar="OUT", help="write the scores: .npz, .csv, or - for .csv on stdout")
    jobs.working(job)


def _add_cluster(jobs: _Jobs) -> None:
    job = jobs.add(
        "cluster",
        "group series (the samples) that depend on each other, step by step, whatever their shapes",
        "series.npz -k 8",
        files="the series",
    )
    job.add_argument("-k", type=_number("-k", 1), metavar="K", help="how many groups (default: as many as there are)")
    jobs.output(job)


def _add_sample(jobs: _Jobs) -> None:
    job = jobs.add(
        "sample",
        "generate new samples",
        "series.npz -n 500 --out new.npz --seed 1",
        "series.npz -n 500 --out new.csv --save sampler.npz",
        "--model sampler.npz -n 500 --seed 2 --out more.npz",
        files="the real samples",
        instead="--model",
        more=SAMPLES_HELP,
    )
    job.add_argument("-n", type=_number("-n", 1), required=True, metavar="N", help="how many")
    job.add_argument("--out", required=True, metavar="OUT", help="where to write them: .npz, .npy, .csv, or - for stdout")
    job.add_argument("--model", metavar="MODEL.npz", help="a sampler that --save wrote, in place of FILE")
    job.add_argument("--save", metavar="MODEL.npz", help="write the fitted sampler, for --model, impute and report")
    job.add_argument(
        "--labels", metavar="A,B", help="only of these labels, in equal numbers (default: as often as in the file)"
    )
    job.add_argument(
        "--min-novelty", type=_real("--min-novelty", minimum=0.0), metavar="R",
        help="refuse samples nearer to a real one than R times the typical distance between real ones (0.3 keeps copies out)",
    )  # fmt: skip
    job.add_argument(
        "--walk", choices=WALKS, metavar="WALK",
        help=f"how: {', '.join(WALKS)} (default auto: chosen on held-out samples)",
    )  # fmt: skip
    job.add_argument("--no-labels", action="store_true", help="ignore the labels that the file holds")
    jobs.working(job, device=True)


def _add_impute(jobs: _Jobs) -> None:
    job = jobs.add(
        "impute",
        "fill missing values (NaN, or empty cells of a .csv), given the known ones: gaps and forecasts",
        "gaps.npz --train series.npz --out full.npz",
        "gaps.csv --model sampler.npz -n 20 --out draws.npz",
        files="samples with missing values",
        more=(
            "OUT holds X as .npz, .npy or .csv (- for .csv on stdout). With -n, an .npz with the mean as X, all draws as X_draws\n"
            "(n, *X.shape), and the 5 % and 95 % quantiles as X_lower and X_upper: nine of ten true values lie between them.\n"
        ),
    )
    model = job.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", metavar="MODEL.npz", help="a sampler that `dualwalk sample --save` wrote")
    model.add_argument("--train", metavar="FILE", help="or complete samples to learn from")
    job.add_argument("--out", required=True, metavar="OUT", help="where to write what was filled")
    job.add_argument("-n", type=_number("-n", 1), metavar="N", help="how many draws of each (default: one)")
    jobs.working(job)


def _add_evaluate(jobs: _Jobs) -> None:
    job = jobs.add(
        "evaluate",
        "judge generated samples beside real ones that no generator saw",
        "new.npz --train train.npz --held-out test.npz",
        files="the generated samples",
    )
    job.add_argument("--train", required=True, metavar="FILE", help="the real samples that the generator learned from")
    job.add_argument("--held-out", required=True, metavar="FILE", help="real samples that it did not see")
    jobs.working(job)


def _add_report(jobs: _Jobs) -> None:
    job = jobs.add(
        "report",
        "write one HTML page with pictures: dual space, dependence, new samples, walks",
        "series.npz --out report.html",
        "--model sampler.npz --model divergence.npz --out report.html",
        files="the real samples",
        instead="--model of a sampler",
    )
    job.add_argument("--out", required=True, metavar="OUT.html", help="where to write it")
    job.add_argument(
        "--model", action="append", default=[], metavar="MODEL.npz",
        help="what `sample --save` or `estimate --save` wrote, in place of fitting it; twice for both",
    )  # fmt: skip
    job.add_argument("--title", metavar="TEXT", help="its heading (default: the file's name)")
    job.add_argument("--no-labels", action="store_true", help="ignore the labels that the file holds")
    jobs.working(job)


def _add_bench(jobs: _Jobs) -> None:
    job = jobs.add(
        "bench", "time the kernels beside NumPy on this machine, in turns, with their errors", "", "--threads 1 --json"
    )
    jobs.working(job)


def _add_config(jobs: _Jobs) -> None:
    jobs.output(jobs.add("config", "what this installation can do: version, backends, threads", "", "--json"))
