"""Do the samples tell whose rows they were made from? Attacks of `metrics.membership_inference` on every method, as Markdown.

Members are X_train; the held-out rows are dealt to non-members and to a reference set, which the attacker also has. The floor
is a second real sample: a third of the held-out rows in the place of generated ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from series import Series

from .runs import Run
from .tables import Runs, reasons, title

DISTANCE = ("nearest_neighbor", "nearest_neighbor_calibrated")
DUAL = ("local_dual", "global_dual", "local_dual_calibrated", "global_dual_calibrated")
SHORT = {"nearest_neighbor": "nearest", "local_dual": "local f", "global_dual": "global f"}
BY_SUBJECT = ("fmri",)  # other subjects are held out there: pooled, a subject would be on both sides

HOW_TO_READ = """\
Every method gives 300 samples. Attacks score a candidate by its distance to the nearest sample, or by the dual function f of the
samples; "calibrated" ones by how these differ from the same of the reference. .50 is a coin, 1 tells every member.

## The largest AUC by distance / by f

\\* : members are told at the 5 % level, all six attacks taken together. The largest of two, or of four, AUCs lies above .50 by
chance alone: compare with the second real sample."""


def resplit(data: Series) -> Series:
    """The rows of both parts dealt at random, as many to each as before: an attack must not tell two sources from each other."""
    if data.name in BY_SUBJECT:
        return data
    rows = np.concatenate([data.X_train, data.X_test])
    labels = None if data.y_train is None or data.y_test is None else np.concatenate([data.y_train, data.y_test])
    dealt = np.random.default_rng(0).permutation(len(rows))
    train, test = np.split(dealt, [len(data.X_train)])
    parts = (None, None) if labels is None else (labels[train], labels[test])
    return replace(data, X_train=rows[train], X_test=rows[test], y_train=parts[0], y_test=parts[1])


def attacked(data: Series, samples: NDArray, n_parts: int = 2) -> dict[str, float]:
    """AUC of every attack with its limits, and the shares of members found at 1 % and 5 % false alarms.

    The held-out rows are dealt to `n_parts`: the first are the non-members, the second the reference.
    """
    from dualwalk import metrics

    others, reference = _parts(data, n_parts)[:2]
    found = metrics.membership_inference(samples, data.X_train, others, reference=reference)
    out = {"leaks": float(found.leaks), "attack": max(attack.auc for attack in found.attacks.values())}
    for name, attack in found.attacks.items():
        out |= {f"attack_{name}": attack.auc, f"attack_{name}_lower": attack.lower, f"attack_{name}_upper": attack.upper}
        out |= {f"attack_{name}_at_1": attack.tpr_at_1_percent, f"attack_{name}_at_5": attack.tpr_at_5_percent}
    return out


def attacked_by_chance(data: Series, seed: int = 0) -> dict[str, float]:
    """The same of a second real sample, which knows nothing of the members; there is one, whatever the seed."""
    return attacked(data, _parts(data, 3)[2], 3)


def attacked_file(data: Series, samples: Path) -> dict[str, float]:
    """The same of samples on disk."""
    with np.load(samples) as stored:
        return attacked(data, stored["X"])


def _parts(data: Series, n_parts: int) -> list[NDArray]:
    dealt = np.random.default_rng(1).permutation(len(data.X_test))
    return [data.X_test[places] for places in np.array_split(dealt, n_parts)]


def overview(runs: Runs, sets: Mapping[str, Series], methods: list[str]) -> str:
    """Rows are methods, columns sets: the largest AUC by distance / by f; * where members are told at the 5 % level."""
    lines = ["| | " + " | ".join(sets) + " |", "|---" * (len(sets) + 1) + "|"]
    lines.append(
        "| members x features | " + " | ".join(f"{len(d.X_train)} x {d.X_train[0].size}" for d in sets.values()) + " |"
    )
    for method in methods:
        cells = [_cell(runs[name, method]) for name in sets]
        if any(cells):
            lines.append(f"| {title(method)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(done: list[Run]) -> str:
    known = [run.scores for run in done if "leaks" in run.scores]
    if not known:
        return ""
    best = [np.mean([max(scores[f"attack_{name}"] for name in names) for scores in known]) for names in (DISTANCE, DUAL)]
    return " / ".join(f"{value:.2f}" for value in best) + (
        "\\*" if np.mean([scores["leaks"] for scores in known]) > 0.5 else ""
    )


def one_set(runs: Runs, name: str, methods: list[str]) -> str:
    """Every attack on every method: AUC with its 95 % interval; of the largest one, the members found at 1 % and 5 % false alarms."""
    attacks = (*DISTANCE, *DUAL)
    lines = ["| method | " + " | ".join(map(_short, attacks)) + " | found at 1 % / 5 % |", "|---" * (len(attacks) + 2) + "|"]
    for method in methods:
        for run in runs[name, method][:1]:
            if "leaks" not in run.scores:
                continue
            value = run.scores
            cells = [
                f"{value[f'attack_{attack}']:.2f} ({value[f'attack_{attack}_lower']:.2f} to {value[f'attack_{attack}_upper']:.2f})"
                for attack in attacks
            ]
            best = max(attacks, key=lambda attack: value[f"attack_{attack}"])
            found = (f"attack_{best}_at_1", f"attack_{best}_at_5")
            lines.append(
                f"| {title(method)} | " + " | ".join(cells) + f" | {' / '.join(f'{100 * value[key]:.0f}' for key in found)} |"
            )
    return "\n".join(lines)


def _short(attack: str) -> str:
    plain = SHORT[attack.removesuffix("_calibrated")]
    return f"{plain}, calibrated" if attack.endswith("_calibrated") else plain


def document(runs: Runs, sets: Mapping[str, Series], methods: list[str], command: str, machine: str) -> str:
    """The attacks as a page of Markdown."""
    by_subject = ", ".join(name for name in sets if name in BY_SUBJECT)
    dealt = "Rows of both parts of a set are dealt at random first, so that members and non-members are of one source"
    parts = [
        f"# Membership inference on generators\n\n    {command}\n\n{machine}.",
        __doc__.split("\n\n", 1)[1].strip(),
        dealt + (f"\n(but of {by_subject}, whose parts are different subjects)." if by_subject else "."),
        HOW_TO_READ,
        overview(runs, sets, methods),
    ]
    for name, data in sets.items():
        n, m = (len(part) for part in _parts(data, 2))
        parts += [
            f"## {name}: {data.shape} members, {n} non-members, {m} for reference ({data.source})",
            one_set(runs, name, methods),
        ]
    if left_out := reasons(runs, sets, methods):
        parts += ["## Not run", "\n".join(f"- {line}" for line in left_out)]
    return "\n\n".join(parts) + "\n"
