"""The command line, one job a word: `dualwalk demo | estimate | cluster | sample | report | config`."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from . import __version__, _checks
from ._estimator import SmallSampleWarning
from ._infinite import InfiniteDivergenceWarning
from ._sampler import WALKS
from ._sampler.grouped import GroupedDataWarning
from ._sampler.novelty import CopiedSamplesWarning

DESCRIPTION = """\
New multivariate time series from a few hundred real ones, and how strongly the real ones' values depend on each other
(total correlation, in nats), by walks in the dual space of that divergence.
"""
EPILOG = """\
example:
  dualwalk demo                                        try it on a data set that comes along
  dualwalk estimate series.npz                         divergence, its lower limit, clusters
  dualwalk cluster series.npz -k 8                     8 groups of series that depend on each other
  dualwalk sample series.npz -n 500 --out new.npz      500 new series
  dualwalk report series.npz --out report.html         pictures and numbers in one file

A FILE is .npy, .npz or .csv: at least 8 samples of shape (features) or (channels, times), finite numbers, nothing pickled.
Exit status: 0 done, 2 bad usage or input (one line on stderr says what and how to mend it), 130 stopped by Ctrl-C.
"""
FILE_HELP = """\
FILE is
  .npz  with the array X, or X_train, or one 2-D or 3-D array only; labels, if any, as y or y_train
  .npy  with X alone
  .csv  with a sample a row, header or not; labels, if any, in a column named y, label, labels or class
X has the shape (n_samples, n_features) or (n_samples, n_channels, n_times); --channels shapes rows of features into channels.
"""


class Parser(argparse.ArgumentParser):
    """argparse, whose errors are one line: what is wrong and where help is."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


class UsageError(ValueError):
    """A command line that cannot be understood."""


def _number(name: str, minimum: int) -> Any:
    def parse(text: str) -> int:
        try:
            return _checks.count(int(text), name, minimum=minimum)
        except ValueError as error:
            wanted = f"{name} must be a whole number; got {text!r} (pass one of at least {minimum})"
            raise argparse.ArgumentTypeError(str(error) if text.lstrip("+-").isdigit() else wanted) from None

    return parse


def _share(name: str) -> Any:
    def parse(text: str) -> float:
        try:
            return _checks.real(text, name, minimum=0.0)
        except (TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def parser() -> argparse.ArgumentParser:
    """The whole command line. The functions that do the work are imported when one of them is called."""
    plain = argparse.RawDescriptionHelpFormatter
    main = Parser(prog="dualwalk", description=DESCRIPTION, epilog=EPILOG, formatter_class=plain, allow_abbrev=False)
    main.add_argument("--version", action="version", version=f"dualwalk {__version__}")
    jobs = main.add_subparsers(dest="job", metavar="JOB", parser_class=Parser)

    def job(name: str, text: str, example: str, *, file: bool = True) -> argparse.ArgumentParser:
        epilog = f"{FILE_HELP if file else ''}\nexample:\n  {example}\n"
        sub = jobs.add_parser(name, help=text, description=text, epilog=epilog, formatter_class=plain, allow_abbrev=False)
        if file:
            sub.add_argument("file", metavar="FILE", help="the real samples: .npy, .npz or .csv")
            sub.add_argument(
                "--channels", type=_number("--channels", 1), metavar="C", help="each row is C channels, one after the other"
            )
        if name not in ("config", "cluster"):
            sub.add_argument(
                "--seed", type=_number("--seed", 0), default=0, metavar="S", help="same seed, same result (default 0)"
            )
            sub.add_argument(
                "--threads",
                type=_number("--threads", 1),
                metavar="T",
                help="threads to use (default: all that are allowed)",
            )
        return sub

    def labels(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--no-labels", action="store_true", help="ignore the labels that the file holds")

    demo = job(
        "demo",
        "fit, sample and report on real speech data that comes along; no network needed",
        "dualwalk demo --out first",
        file=False,
    )
    demo.add_argument("--out", default="dualwalk-demo", metavar="FOLDER", help="where to write (default dualwalk-demo)")
    demo.add_argument("-n", type=_number("-n", 1), default=300, metavar="N", help="how many new series (default 300)")

    estimate = job(
        "estimate",
        "total correlation of the samples' values, in nats, and the dual space",
        "dualwalk estimate series.npz --json",
    )
    estimate.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    estimate.add_argument("--test", action="store_true", help="test by permutations whether there is any dependence at all")

    cluster = job(
        "cluster",
        "group series (the samples) that depend on each other, step by step, whatever their shapes",
        "dualwalk cluster series.npz -k 8",
    )
    cluster.add_argument("-k", type=_number("-k", 1), metavar="K", help="how many groups (default: as many as there are)")
    cluster.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    sample = job("sample", "generate new samples", "dualwalk sample series.npz -n 500 --out new.npz --seed 1")
    sample.add_argument("-n", type=_number("-n", 1), required=True, metavar="N", help="how many")
    sample.add_argument(
        "--out", required=True, metavar="OUT.npz", help="where to write them: arrays X, nearest_index, distance_ratio ... and y"
    )
    sample.add_argument(
        "--labels", metavar="A,B", help="only of these labels, in equal numbers (default: as often as in the file)"
    )
    sample.add_argument(
        "--min-novelty", type=_share("--min-novelty"), metavar="R",
        help="refuse samples nearer to a real one than R times the typical distance between real ones (0.3 keeps copies out)",
    )  # fmt: skip
    sample.add_argument(
        "--walk", choices=WALKS, default="auto", metavar="WALK",
        help=f"how: {', '.join(WALKS)} (default auto: chosen on held-out samples)",
    )  # fmt: skip
    labels(sample)

    report = job(
        "report",
        "write one HTML file with pictures: dual space, dependence, new samples, walks",
        "dualwalk report series.npz --out r.html",
    )
    report.add_argument("--out", required=True, metavar="OUT.html", help="where to write it")
    report.add_argument("--title", metavar="TEXT", help="its heading (default: the file's name)")
    labels(report)

    config = job("config", "what this installation can do: version, backends, threads", "dualwalk config --json", file=False)
    config.add_argument("--json", action="store_true", help="print one JSON object")
    return main


@contextmanager
def _settings(threads: int | None) -> Iterator[None]:
    """`--threads` for the kernels, and our own warnings as one line each; both as before when the job is done."""
    before = os.environ.get("DUALWALK_NUM_THREADS")
    with warnings.catch_warnings():
        for category in (SmallSampleWarning, InfiniteDivergenceWarning, GroupedDataWarning, CopiedSamplesWarning):
            warnings.simplefilter("always", category)
        warnings.showwarning = _show_warning
        if threads is not None:
            os.environ["DUALWALK_NUM_THREADS"] = str(threads)
        try:
            yield
        finally:
            if threads is not None:
                os.environ.pop("DUALWALK_NUM_THREADS")
                if before is not None:
                    os.environ["DUALWALK_NUM_THREADS"] = before


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    _say(f"warning: {message}")


def _say(text: str) -> None:
    print(f"dualwalk: {' '.join(text.split())}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one job and return its exit status: 0, 2 with one line on stderr, or 130 after Ctrl-C."""
    try:
        options = parser().parse_args(argv)
        if options.job is None:
            raise UsageError("name a job: demo, estimate, cluster, sample, report or config (see dualwalk --help)")
        from . import _jobs

        with _settings(getattr(options, "threads", None)):
            getattr(_jobs, options.job)(options)
            sys.stdout.flush()
    except KeyboardInterrupt:
        _say("stopped by Ctrl-C")
        return 130
    except BrokenPipeError:  # the reader of our output (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        _say(f"error: {error}" if str(error) else f"error: {type(error).__name__}")
        return 2
    return 0
