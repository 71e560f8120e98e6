"""The command line, one job a word: `dualwalk demo | estimate | score | cluster | sample | impute | evaluate | report | bench | config`."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ._cli import JOBS
from ._cli.arguments import UsageError, parser


@contextmanager
def _settings(threads: int | None) -> Iterator[None]:
    """`--threads` for the kernels, and our own warnings as one line each; both as before when the job is done."""
    import dualwalk

    before = os.environ.get("DUALWALK_NUM_THREADS")
    ours = [getattr(dualwalk, name) for name in dualwalk.__all__ if name.endswith("Warning")]
    with warnings.catch_warnings():
        for category in (*ours, dualwalk.metrics.JudgeWarning):
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
    from ._files import printable  # labels and names may come from a stranger's file

    print(f"dualwalk: {printable(' '.join(text.split()))}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one job and return its exit status: 0, 2 with one line on stderr, or 130 after Ctrl-C."""
    try:
        options = parser().parse_args(argv)
        if options.job is None:
            raise UsageError(f"name a job: {', '.join(JOBS[:-1])} or {JOBS[-1]} (see dualwalk --help)")
        with _settings(getattr(options, "threads", None)):
            importlib.import_module(f"._cli.{options.job}", __package__).run(options)
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
