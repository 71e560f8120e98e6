"""Train your own critic with the Donsker-Varadhan bound: on dualwalk's kernels, and the same code in plain PyTorch.

    pip install "dualwalk[torch]"
    python examples/torch_critic.py [--samples 2048] [--features 256] [--steps 60] [--threads 1 2] [--compile]

A critic f learns a lower bound of KL(p || q), q the product of p's marginals. Each step needs fresh samples of q: every column
of the rows shuffled by itself. The two loops differ in two lines, `shuffled` and `bound`; they take turns, step by step, on the
same number of threads, from the same weights. Printed: the time of a step, the ratio, and both bounds at the end.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import dualwalk.adapters.torch as dwt


def plain_shuffled(x: Tensor) -> Tensor:
    """Random keys, sorted: the usual way to shuffle every column by itself."""
    return x.gather(0, torch.rand_like(x).argsort(dim=0))


def plain_bound(f_joint: Tensor, f_marginal: Tensor) -> Tensor:
    return f_joint.mean() - (f_marginal.logsumexp(0) - torch.tensor(len(f_marginal)).log())


def our_shuffled(x: Tensor) -> Tensor:
    return dwt.permute_marginals(x)


def our_bound(f_joint: Tensor, f_marginal: Tensor) -> Tensor:
    return dwt.donsker_varadhan(f_joint, f_marginal).value


def make_rows(n_samples: int, n_features: int) -> Tensor:
    """Gaussian rows whose neighbouring columns go together: columns 2k and 2k + 1 at correlation 0.5."""
    common = torch.randn(n_samples, (n_features + 1) // 2).repeat_interleave(2, 1)[:, :n_features]
    return (0.5**0.5) * (common + torch.randn(n_samples, n_features))


def make_critic(n_features: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(n_features, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1), nn.Flatten(0)
    )


class Trainer:
    """One critic with its own optimizer; `step` trains it and returns the bound."""

    def __init__(
        self,
        critic: nn.Module,
        shuffled: Callable[[Tensor], Tensor],
        bound: Callable[[Tensor, Tensor], Tensor],
        compiled: bool,
    ) -> None:
        self.optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)

        def objective(x: Tensor) -> Tensor:
            return bound(critic(x), critic(shuffled(x)))

        self.objective = torch.compile(objective, fullgraph=True) if compiled else objective
        self.seconds: list[float] = []
        self.processor_seconds: list[float] = []  # over all threads: what a step costs where the machine is shared

    def step(self, x: Tensor) -> float:
        start, processor_start = time.perf_counter(), time.process_time()
        self.optimizer.zero_grad()
        value = self.objective(x)
        (-value).backward()
        self.optimizer.step()
        self.seconds.append(time.perf_counter() - start)
        self.processor_seconds.append(time.process_time() - processor_start)
        return value.item()


def compare(
    n_samples: int, n_features: int, width: int = 128, steps: int = 100, compiled: bool = False
) -> tuple[Trainer, Trainer, float, float]:
    """Both trainers after their steps, plain first, and their bounds: means of the last fifth of the steps."""
    torch.manual_seed(0)
    x, critic = make_rows(n_samples, n_features), make_critic(n_features, width)
    plain = Trainer(copy.deepcopy(critic), plain_shuffled, plain_bound, compiled)
    ours = Trainer(critic, our_shuffled, our_bound, compiled)
    bounds: list[list[float]] = [[], []]
    for _ in range(steps):
        for trainer, values in zip((plain, ours), bounds, strict=True):
            values.append(trainer.step(x))
    last = max(1, steps // 5)
    return plain, ours, statistics.mean(bounds[0][-last:]), statistics.mean(bounds[1][-last:])


def median_ms(seconds: list[float]) -> float:
    return 1e3 * statistics.median(seconds[3:] or seconds)  # the first steps warm up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, torch.get_num_threads()}))
    parser.add_argument("--compile", action="store_true", help="both under torch.compile(fullgraph=True)")
    args = parser.parse_args()
    print(f"{args.samples} rows x {args.features} columns, critic 2 x {args.width}, torch {torch.__version__}")
    for threads in args.threads:
        torch.set_num_threads(threads)
        plain, ours, plain_value, our_value = compare(args.samples, args.features, args.width, args.steps, args.compile)
        plain_ms, our_ms = median_ms(plain.seconds), median_ms(ours.seconds)
        print(f"\n{threads} thread(s)")
        print(f"plain torch  {plain_ms:8.2f} ms a step, bound {plain_value:.3f} nats")
        print(f"dualwalk     {our_ms:8.2f} ms a step, bound {our_value:.3f} nats")
        print(f"dualwalk is {plain_ms / our_ms:.2f} times as fast")


if __name__ == "__main__":
    main()
