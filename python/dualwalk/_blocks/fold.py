"""One fold of one term: the base, the critics on top of it and their strength, all chosen on rows held out inside the fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _random
from .base import EllipticalBase, fit_elliptical, scatter
from .choice import ENOUGH_ROWS, SHRINKAGE, Choice, Split, choose_base, fit_choice
from .critic import NARROW, Critic, CriticPlan, train_critic
from .features import MOST_COLUMNS, Features
from .student import GAUSSIAN
from .term import BlockTerm, Reduction, log_ratio

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.25)

_VALIDATION_SHARE = 0.15
_NARROW = 2  # columns of both blocks
_ROWS_FOR_EDGES = 100  # validation rows, below which long training learns noise
_SURE = 2.0  # standard errors; the rows that judge critics have also chosen when to stop them
_N_SPLITS = 3
_WIDEST = 128  # columns of a block that are looked at one by one
_GRID_ROWS = 1024
_PAIRS = 1 << 16
_CANONICAL = 16  # directions that stand for a wide block's columns
_LEAST_GAIN = 0.3  # a critic that improves the base by less than this share of the best one's gain is left out


@dataclass(frozen=True)
class _Member:
    """A critic, the base it was trained on, its split, and the contrast on validation rows without and with it."""

    critic: Critic
    base: EllipticalBase
    split: Split
    before: float
    after: float

    @property
    def gain(self) -> float:
        return self.after - self.before


def splits(rest: Rows) -> tuple[list[Split], Rows]:
    """Up to 3 (train, validation) splits of `rest`, each holding out another 15 %, and the rows that all are trained on."""
    held = max(min(4, len(rest) // 2), round(_VALIDATION_SHARE * len(rest)))
    count = max(1, min(_N_SPLITS, len(rest) // (2 * held)))
    parts = [(np.delete(rest, slice(k * held, (k + 1) * held)), rest[k * held : (k + 1) * held]) for k in range(count)]
    return parts, rest[count * held :]


def reduction(z: Floats, columns: Rows) -> Reduction:
    """A block's columns, or the leading principal components of rows `z` where there are too many, of variance 1."""
    widest = min(_WIDEST, len(z) // 2)
    if len(columns) <= max(widest, 8):
        return Reduction(columns, None)
    part = z[:, columns]
    _, size, directions = np.linalg.svd(part - part.mean(axis=0), full_matrices=False)
    kept = min(widest, int((size > 1e-6 * size[0]).sum()))
    return Reduction(columns, np.ascontiguousarray(directions[:kept].T * (np.sqrt(len(z)) / size[:kept])))


def fit_term(
    z: Floats,
    columns: tuple[Rows, Rows],
    rest: Rows,
    *,
    seed: int,
    path: tuple[int | str, ...],
    plan: CriticPlan | None = None,
    report: Callable[[float], None] | None = None,
) -> tuple[BlockTerm, Rows]:
    """The term of the second block's `columns` against the first's, learned from the rows `rest` of normal scores `z`.

    Also returns the rows that every critic was trained on.
    """
    parts, core = splits(rest)
    blocks = (reduction(z[core], columns[0]), reduction(z[core], columns[1]))
    x, y = (block.of(z) for block in blocks)
    narrow = x.shape[1] + y.shape[1] <= _NARROW and len(parts[0][1]) >= _ROWS_FOR_EDGES
    plan = plan or (NARROW if narrow else CriticPlan())

    def train(choice: Choice, number: int, rich: bool) -> _Member:
        rows, held = parts[number]
        base = fit_choice(x[rows], y[rows], choice)
        critic, before, after = train_critic(
            base,
            _features(x[rows], y[rows], rich),
            (x[rows], y[rows]),
            (x[held], y[held]),
            _random.generator(seed, *path, "critic", number),
            plan=plan,
            report=None if report is None else lambda share: report((number + share) / (len(parts) + 1)),
        )
        return _Member(critic, base, parts[number], before, after)

    choices = choose_base(x, y, parts)
    starts = [train(choice, 0, True) for choice in choices]
    best = int(np.argmax([member.after for member in starts]))
    choice, members = choices[best], [starts[best]]
    settled = len(parts[0][1]) >= ENOUGH_ROWS and members[0].gain <= 0  # many rows saw nothing beyond the base
    if len(parts) > 1 and not settled:
        members.append(train(choice, 1, False))
    if len(parts) > 2 and max(member.gain for member in members) > 0:
        members.append(train(choice, 2, members[0].gain >= members[1].gain))
    critics, strength = _kept(x, y, members)
    base = fit_choice(x[rest], y[rest], choice)
    grid = rest if len(rest) <= _GRID_ROWS else _random.generator(seed, *path, "grid").permutation(rest)[:_GRID_ROWS]
    return BlockTerm(blocks, base, critics, strength, np.ascontiguousarray(y[grid])), core


def _kept(x: Floats, y: Floats, members: list[_Member]) -> tuple[tuple[Critic, ...], float]:
    """The critics that help, and the factor on their mean."""
    most = max(member.gain for member in members)
    kept = [member for member in members if member.gain > max(0.0, _LEAST_GAIN * most)]
    strength = _strength(x, y, kept) if kept else 0.0
    return (tuple(member.critic for member in kept), strength) if strength else ((), 0.0)


def _features(x: Floats, y: Floats, rich: bool) -> tuple[Features, Features]:
    """Inputs of both blocks' networks; a wide block is seen through its leading canonical directions."""
    directions: list[Floats | None] = [None, None]
    if max(x.shape[1], y.shape[1]) > MOST_COLUMNS:
        base = fit_elliptical(scatter(np.hstack([x, y]), GAUSSIAN), x.shape[1], GAUSSIAN, SHRINKAGE[2])
        for block, part in enumerate((x, y)):
            if part.shape[1] > MOST_COLUMNS:
                directions[block] = np.ascontiguousarray((base.whiten[block] @ base.directions[block])[:, :_CANONICAL])
    return Features(x.shape[1], directions[0], rich), Features(y.shape[1], directions[1], rich)


def _strength(x: Floats, y: Floats, members: list[_Member]) -> float:
    """The factor on the critics with the largest mean log-ratio over the rows each of them held out.

    It is 0 unless that is better than no critic by more than two standard errors.
    """
    values: list[list[Floats]] = [[] for _ in (0.0, *STRENGTHS)]
    for member in members:
        critic, base, (train, held) = member.critic, member.base, member.split
        grid = train[: max(64, _PAIRS // len(held))]
        first, second = base.side(x[held], 0), base.side(y[held], 1)
        own, others = base.values(first, second), base.pairs(first, base.side(y[grid], 1))
        g = critic.products(x[held], 0)
        own_part = np.einsum("ij,ij->i", g, critic.products(y[held], 1))
        others_part = g @ critic.products(y[grid], 1).T
        for some, strength in zip(values, (0.0, *STRENGTHS), strict=True):
            some.append(log_ratio(own + strength * own_part, others + strength * others_part))
    f = np.array([np.concatenate(some) for some in values])
    best = int(f.mean(axis=1).argmax())
    gain = f[best] - f[0]
    return (0.0, *STRENGTHS)[best] if gain.mean() > _SURE * gain.std(ddof=1) / np.sqrt(len(gain)) else 0.0
