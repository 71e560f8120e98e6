"""The picture of `bench_divergence.py`: |est - oracle| against the number of rows, one panel a family."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Curves:
    """Errors of several estimates of one family: name of the estimate -> {rows: error in nats}."""

    family: str
    errors: dict[str, dict[int, float]]


def draw(curves: list[Curves], path: Path) -> str | None:
    """Write the picture; or say why not."""
    if importlib.util.find_spec("matplotlib") is None:
        return "No picture: matplotlib is not installed (pip install dualwalk[report])."
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    columns = min(3, len(curves))
    n_rows = -(-len(curves) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.7 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, columns, squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat[len(curves) :]:
        axis.set_axis_off()
    for axis, family in zip(axes.flat, curves, strict=False):
        for (name, errors), style in zip(family.errors.items(), ("o-", "s--", "^:"), strict=False):
            if errors:
                axis.loglog(list(errors), [max(error, 0.01) for error in errors.values()], style, label=name, markersize=4)
        axis.set_title(family.family, fontsize=10)
        axis.grid(alpha=0.3, which="both", linewidth=0.5)
        axis.set_xlabel("rows")
        axis.set_ylabel("|estimate - oracle|, nats")
        axis.label_outer()
    axes.flat[0].legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)
    return None
