"""What is measured: a case is one job at one size, with its candidates, what a call needs of the machine, and its error."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dualwalk import backends

Call = Callable[[], Any]
OURS = ("native", "numba", "reference")


@dataclass(frozen=True)
class Need:
    """Bytes or operations of one call, all threads together, that no implementation can do without.

    `resource` is "read", "write" or "copy" (bytes read plus bytes written), measured on arrays of `footprint` bytes, or
    "float32" / "float64": multiplications and additions. Needs of memory add up, needs of arithmetic add up, and the larger
    sum is the limit.
    """

    resource: str
    amount: float
    footprint: int = 0


@dataclass(frozen=True)
class Candidate:
    """One way to do a job: `prepare(inputs, n_threads)` gives the call that is timed."""

    prepare: Callable[[Any, int], Call]
    package: str = "numpy"  # what it needs beside dualwalk
    threaded: bool = True  # False: measured on one thread only
    compiled: bool = False  # the first call compiles, and its time is told apart
    checked: bool = True  # False: its result is random in another way, so there is no error to tell

    def why_not(self) -> str | None:
        """None when it can run here, else the reason why not."""
        if importlib.util.find_spec(self.package) is None:
            return f'{self.package} is not installed (pip install ".[bench]")'
        return None


@dataclass(frozen=True)
class Ours(Candidate):
    """One of the library's own backends."""

    backend: str = "native"

    def why_not(self) -> str | None:
        return backends.why_not(self.backend)


@dataclass(frozen=True)
class Case:
    """One job at one size. `n_units` of `unit` are done in a call; times are given for one."""

    job: str  # of backends.JOBS
    form: str  # which of the things the job does
    size: str
    n_bytes: int  # of the arrays that a call reads or writes, which orders the sizes
    unit: str
    n_units: float
    make: Callable[[], Any] = field(repr=False)  # the inputs, made once for all candidates
    candidates: dict[str, Candidate] = field(repr=False)
    needs: Callable[[int], tuple[Need, ...]] = field(repr=False, default=lambda n_threads: ())
    error: Callable[[Any, Any], float] | None = field(repr=False, default=None)  # of (inputs, result)
    error_unit: str = "relative"
    quick: bool = False  # part of a quick run
    patient: bool = False  # a peer is waited for even where a call takes seconds
    swept: tuple[str, float] | None = None  # the size that a curve of cases of one form runs along

    @property
    def name(self) -> str:
        return f"{self.job}: {self.form}, {self.size}"

    @property
    def series(self) -> str:
        """Cases that differ by size alone."""
        return f"{self.job}: {self.form}"


def ours(call: Callable[[Any, str, int], Any], names: tuple[str, ...] = OURS) -> dict[str, Candidate]:
    """The library's backends as candidates; `call(inputs, backend, n_threads)` runs one."""

    def prepare(name: str) -> Callable[[Any, int], Call]:
        return lambda inputs, n_threads: lambda: call(inputs, name, n_threads)

    return {name: Ours(prepare(name), threaded=name != "reference", compiled=name == "numba", backend=name) for name in names}


def plain(call: Callable[[Any], Any], package: str = "numpy", *, compiled: bool = False, checked: bool = True) -> Candidate:
    """A peer without preparation, on one thread."""
    return Candidate(
        lambda inputs, n_threads: lambda: call(inputs), package, threaded=False, compiled=compiled, checked=checked
    )


def count(n: float) -> str:
    """A number of things in few characters: 4096 is 4 K, 16777216 is 16 M."""
    for power, letter in ((30, "G"), (20, "M"), (10, "K")):
        if n >= 1 << power and n % (1 << power) == 0:
            return f"{int(n) >> power} {letter}"
    return f"{n:g}"
