"""What makes dualwalk's samples tell more, or less, of the rows they were made from: the strongest attacks, on spoken vowels.

    python benchmarks/bench_privacy.py [--deals 2]

All 640 vowels are dealt at random to members, 185 non-members and 185 for reference, anew for every deal; means over deals.
`distance` and `f` are the largest AUCs of two attacks by distance and of four by the dual function; `found` is the share of
members that the strongest attack finds with 1 % false alarms.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from generation.privacy import DISTANCE, DUAL

import dualwalk as dw
from dualwalk import metrics

Make = Callable[[dw.DualSampler], np.ndarray]
N_MOST = 270

CASES: dict[str, tuple[int, Make]] = {
    **{f"{n} samples of 270 members": (270, lambda sampler, n=n: sampler.sample(n)) for n in (30, 100, 300, 1000, 2000)},
    "300 samples of 270 members, min_novelty=.9": (270, lambda sampler: sampler.sample(300, min_novelty=0.9)),
    "300 samples of 120 members": (120, lambda sampler: sampler.sample(300)),
    "300 samples of 60 members": (60, lambda sampler: sampler.sample(300)),
    "92 vowels that are nobody's here": (270, lambda _: np.empty(0)),  # the floor: the reference is cut in two
}


def attacked(members: np.ndarray, others: np.ndarray, reference: np.ndarray, made: np.ndarray) -> list[float]:
    if not len(made):
        made, reference = np.array_split(reference, 2)
    found = metrics.membership_inference(made, members, others, reference=reference)
    best = [max(found.attacks[name].auc for name in names) for names in (DISTANCE, DUAL)]
    return [*best, found.attacks[found.strongest].tpr_at_1_percent]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deals", type=int, default=2)
    settings = parser.parse_args()
    vowels = dw.load_japanese_vowels()
    rows = np.concatenate([vowels.X, vowels.X_test])
    found: dict[str, list[list[float]]] = {name: [] for name in CASES}
    asked: list[float] = []
    for deal in range(settings.deals):
        dealt = np.random.default_rng(deal).permutation(rows)
        first, others, reference = np.split(dealt, [N_MOST, N_MOST + 185])
        samplers = {n: dw.DualSampler(random_state=0).fit(first[:n]) for n in {n for n, _ in CASES.values()}}
        for name, (n, make) in CASES.items():
            found[name].append(attacked(first[:n], others, reference, make(samplers[n])))
        model = dw.DualDivergence(random_state=0).fit(first)
        made = samplers[N_MOST].sample(100)
        asked.append(metrics.membership_inference(made, first, others, model=model).attacks["model"].auc)
    print("| what is given away | distance | f | found |\n|---|---|---|---|")
    for name, values in found.items():
        distance, f, tpr = np.mean(values, axis=0)
        print(f"| {name} | {distance:.2f} | {f:.2f} | {100 * tpr:.0f} % |")
    print(f"| a fitted DualDivergence | | {np.mean(asked):.2f} | |")


if __name__ == "__main__":
    main()
