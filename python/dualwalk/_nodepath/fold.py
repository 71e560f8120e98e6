"""One fold of the node estimator: base, path, training, temperature; and which rows play which part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from .. import _device, _random
from .._refine.choice import choose_refinement
from ..duals.node import FittedPath, stands_on_base
from .features import size
from .gaussian_base import choose_base, fit_base
from .network import NodeData
from .path import N_CONTEXT, SIZE, SIZE_SCALE, NodePath, dependence, fit_path, spanning_tree
from .screen import Triples, screen_triples
from .tables import choose_tables
from .ties import tie_blur, tie_share
from .training import Kind, Task, TrainedNodes, TrainingPlan, train_many

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

ALPHAS = tuple(round(0.1 * k, 1) for k in range(13))  # 0 to 1.2
_VALIDATION_SHARE = 0.15
_ONE_SPLIT_TEST = 20  # percent of the rows
_MOST_SPLITS = 3
_FEW_VALIDATION_ROWS = 8
_MOST_TIES = 0.01  # share of equal pairs beyond which a column is one of levels: no mixture of densities refines f there
_MANY_TRIPLES = 0.2  # share of the nodes from which critics, which cost several times as much, are worth a try
_ALPHA_PAIRS = 24_000  # at most as many (node, row) pairs decide on the temperature


def folds(n: int, cv: int, seed: int) -> list[tuple[Rows, Rows]]:
    """(other, test) rows of every fold, shuffled: each row is a test row once. Fewer than 2 `cv` rows: n // 2 folds.

    With `cv` = 1 there is one fold, and a fifth of the rows are its test rows.
    """
    count = min(cv, n // 2)
    shuffled = _random.generator(seed, "folds").permutation(n)
    if count == 1:
        return [(shuffled[_ONE_SPLIT_TEST * n // 100 :], shuffled[: _ONE_SPLIT_TEST * n // 100])]
    result = []
    for k in range(count):
        rest = np.concatenate([shuffled[j::count] for j in range(count) if j != k])
        result.append((_random.generator(seed, "fold", k, "split").permutation(rest), shuffled[k::count]))
    return result


def splits(rest: Rows, n_fits: int) -> tuple[list[tuple[Rows, Rows]], Rows]:
    """(train, validation) rows for up to 3 groups of members, and the core: the rows that all of them are trained on.

    Each group holds out another 15 %, so that the average of the members has seen every row and their temperature is judged
    on more of them.
    """
    held = max(2, round(_VALIDATION_SHARE * len(rest)))
    count = max(1, min(n_fits, _MOST_SPLITS, len(rest) // (2 * held)))
    result = []
    for k in range(count):
        mine = slice(k * held, (k + 1) * held)
        result.append((np.delete(rest, mine), rest[mine]))
    return result, rest[count * held :]


def fit_fold(
    z: Floats,
    columns: Rows,
    grid: Floats,
    rest: Rows,
    *,
    n_fits: int,
    seed: int,
    fold: int,
    kind: Kind | Literal["auto"] = "auto",
    plan: TrainingPlan | None = None,
    report: Callable[[float], None] | None = None,
    n_threads: int = 1,
) -> FittedPath:
    """Learn the path through `columns` (two or more) of normal scores `z` from the rows `rest`.

    `grid` (n_features, n_quantiles) holds every column's marginal. For training, order, parents and triples come from the rows
    that no member validates on, a member's Gaussian base and statistics from its own training rows; those that test rows meet
    come from all of `rest`. Held-out rows choose the base, whether nodes are told the sizes of residuals, the temperature,
    and whether tables of levels or a mixture of clusters refine f. Where `z` is on a device, so is all but `rest`, and tables,
    which take columns of levels one by one, are counted from a copy of `z` in the host's memory.
    """
    parts, core = splits(rest, n_fits)
    parts = [(_device.beside(train, z), _device.beside(held, z)) for train, held in parts]
    core, rest = _device.beside(core, z), _device.beside(rest, z)
    order, parent, triples = _structure(z, core, columns)
    ordered = z[:, order]
    base, bases = choose_base([(ordered[train], ordered[held]) for train, held in parts])
    residuals = [(ordered - fitted.mean(ordered)) / fitted.scale for fitted in bases]
    size_base, size_bases = choose_base(
        [(size(left[train]), size(left[held])) for left, (train, held) in zip(residuals, parts, strict=True)]
    )
    blurred = _blurred(z, _random.generator(seed, "fold", fold, "blur"))
    paths = [
        fit_path(z[train], order, parent, fitted, size_fitted, triples)
        for (train, _), fitted, size_fitted in zip(parts, bases, size_bases, strict=True)
    ]
    data = [
        (_nodes(path, z[train], blurred[train]), _nodes(path, z[held], blurred[held]))
        for path, (train, held) in zip(paths, parts, strict=True)
    ]
    # told sizes that carry nothing, the network is the worse for it; told none that matter, it loses most of their nats
    inputs = [(), (SIZE,)] if size_base != "independent" else [(SIZE,)]
    many_triples = len(triples.child) >= _MANY_TRIPLES * len(parent)
    kinds: list[Kind] = [kind] if kind != "auto" else ["density", "contrastive"] if many_triples else ["density"]
    # on a device all networks that may be wanted take no longer than one; on the CPU those of `parts` but the first wait for its
    first = [(unseen, part) for unseen in inputs for part in range(len(parts) if _device.is_on_device(z) else 1)]
    n_runs = len(kinds) * max(len(first), len(inputs) + len(parts) - 1)
    done = 0

    def train(kind: Kind, which: list[tuple[tuple[int, ...], int]]) -> dict[tuple[tuple[int, ...], int], TrainedNodes]:
        """Networks by the inputs they are not told, and the number of their part."""
        nonlocal done
        start, done = done, done + len(which)
        tasks = [
            Task(*data[part], len(range(part, n_fits, len(parts))), ("fold", fold, "split", part), _with_statistics(unseen))
            for unseen, part in which
        ]
        found = train_many(
            tasks,
            seed=seed,
            kind=kind,
            plan=replace(plan or TrainingPlan(), base=stands_on_base(base)),
            report=None if report is None else lambda share: report((start + share * len(which)) / n_runs),
            n_threads=n_threads,
        )
        return dict(zip(which, found, strict=True))

    def learn(kind: Kind) -> tuple[float, float, list[FittedPath]]:
        """The held-out value of nodes of one kind, their temperature, and one fitted path for each of `parts`."""
        trained = train(kind, first)
        unseen = max(inputs, key=lambda some: trained[some, 0].validation.mean())
        wanted = [(unseen, part) for part in range(len(parts))]
        trained |= train(kind, [one for one in wanted if one not in trained])
        nodes = [trained[one] for one in wanted]
        fitted = [
            FittedPath(path, part.weights, 1.0, grid[order[1:]], kind, base) for path, part in zip(paths, nodes, strict=True)
        ]
        alpha, value = choose_alpha([(one, z[held]) for one, (_, held) in zip(fitted, parts, strict=True)])
        return value, alpha, [replace(one, alpha=alpha) for one in fitted]

    # a product's sign jumps: a critic can jump too, a mixture of Gaussians is slow to; elsewhere it has never won
    _, alpha, members = max(map(learn, kinds), key=lambda learned: learned[0])

    recipe = refinement = None
    has_levels = bool(tie_share(ordered).max() > _MOST_TIES)
    if alpha and has_levels:
        terms = [
            tuple(map(_device.to_host, (ordered[train], ordered[held], one.node_terms(z[held]))))
            for one, (train, held) in zip(members, parts, strict=True)
        ]
        recipe = choose_tables(cast(Any, terms), _device.to_host(ordered), _device.to_host(parent))

    # what was learned goes by what nodes are told, not by which they are: test rows meet the structure of all of `rest`
    final_order, final_parent, triples = _structure(z, rest, columns)
    whole = z[np.ix_(rest, final_order)]
    if alpha and not has_levels:
        values = [
            (ordered[train], ordered[held], _device.to_host(one.value(z[held])))
            for one, (train, held) in zip(members, parts, strict=True)
        ]
        refinement = choose_refinement(values, whole, seed=seed)
    final = fit_base(base, whole)
    sizes = fit_base(size_base, size((whole - final.mean(whole)) / final.scale))
    tables = None
    if recipe is not None:
        tables = recipe.counted(*map(_device.to_host, (whole, z[:, final_order], final_parent)))
    return FittedPath(
        fit_path(z[rest], final_order, final_parent, final, sizes, triples),
        np.concatenate([one.weights for one in members]),
        alpha,
        grid[final_order[1:]],
        members[0].kind,
        base,
        tables,
        refinement,
    )


def _structure(z: Floats, rows: Rows, columns: Rows) -> tuple[Rows, Rows, Triples]:
    """Order of the columns, places of the parents, and triples, from some rows of `z`."""
    tree, parent = spanning_tree(dependence(z[np.ix_(rows, columns)]))
    order = columns[tree]
    return order, parent, screen_triples(z[np.ix_(rows, order)])


def _blurred(z: Floats, rng: np.random.Generator) -> Floats:
    """`z` with noise on values that occur more than once; the noise is drawn in the host's memory, where there is any."""
    blur = tie_blur(z)
    return z + blur * _device.beside(rng.standard_normal(z.shape), z) if bool(blur.any()) else z


def _with_statistics(unseen: tuple[int, ...]) -> tuple[int, ...]:
    """The inputs that go with those of the context: sizes are of no use without their scale, nor the scale without sizes."""
    return (*unseen, N_CONTEXT + SIZE_SCALE) if SIZE in unseen else unseen


def _nodes(path: NodePath, z: Floats, blurred: Floats) -> NodeData:
    """The nodes' view of rows `z`, their own values blurred; what they are told of their past is not."""
    data = path.data(z)
    child = _device.namespace(z).ascontiguousarray(blurred.T[path.column], dtype=data.child.dtype)
    return replace(data, child=child)


def choose_alpha(held_out: list[tuple[FittedPath, Floats]]) -> tuple[float, float]:
    """The temperature with the largest mean f over rows held out by each of some paths, and that mean; 0 where no dependence
    holds up.

    With fewer than 8 such rows, that mean must also exceed its standard error.
    """
    f = np.concatenate([_device.to_host(_tempered(fitted, rows)) for fitted, rows in held_out], axis=1)
    best = int(f.mean(axis=1).argmax())
    count = f.shape[1]
    if count < _FEW_VALIDATION_ROWS and f[best].mean() <= f[best].std(ddof=1) / np.sqrt(count):
        return 0.0, 0.0
    return ALPHAS[best], float(f[best].mean())


def _tempered(fitted: FittedPath, rows: Floats) -> Floats:
    """f of (at most so many of the) rows at every temperature: (n_alphas, n_rows)."""
    shown = min(len(rows), max(16, _ALPHA_PAIRS // len(fitted.path.column)))
    tempered: Floats = fitted.terms_at(rows[:shown], np.array(ALPHAS)).sum(axis=1, dtype=np.float64)
    return tempered
