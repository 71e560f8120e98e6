"""The literature's protocol at length 24: sines, stocks and energy, a discriminative and a predictive score.

    python benchmarks/bench_generation.py --literature FOLDER [--seeds 3]

FOLDER holds stock_data.csv (Google, daily; the file in the TimeGAN authors' repository) and energy_data.csv (UCI appliances
energy) or the TimeVAE authors' energy_subsampled_train_perc_100.npz. What is missing is left out; sines need no file.

All windows of 24 steps, one step apart, scaled to [0, 1] a channel, are training data and judges' data at once (Yoon et al.
2019; Desai et al. 2021 and Yuan and Qiao 2024 follow them). As many windows are generated. Both judges are one layer of gated
recurrent units half as wide as the number of channels, trained by Adam on batches of 128, with no early stopping:

discriminative    2000 steps on 80 % of both sides; |accuracy - .5| on the other 20 %. 0 is perfect.
predictive        5000 steps on generated windows, the last channel one step ahead from the others; mean absolute error on all
                  real windows. The same judge trained on real windows says what can be reached.

Neither score sees copies: training windows themselves score best. The share of copies stands beside ours for that reason: by
the 5 % quantile of the distances from 300 windows left out of the training set to the rest. Windows overlap, so that quantile
is small.
"""

from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from series import sine_windows
from torch import nn

NAMES = ("sines", "stocks", "energy")
LENGTH = 24
FEW = 300

PUBLISHED = {
    # Yuan and Qiao (2024), Diffusion-TS, ICLR, table 1 (the peers' rows are that table's too): mean and deviation
    "discriminative": {
        "TimeGAN": {"sines": ".011 ± .008", "stocks": ".102 ± .021", "energy": ".236 ± .012"},
        "TimeVAE": {"sines": ".041 ± .044", "stocks": ".145 ± .120", "energy": ".499 ± .000"},
        "Diffusion-TS": {"sines": ".006 ± .007", "stocks": ".067 ± .015", "energy": ".122 ± .003"},
    },
    "predictive": {
        "TimeGAN": {"sines": ".093 ± .019", "stocks": ".038 ± .001", "energy": ".273 ± .004"},
        "TimeVAE": {"sines": ".093 ± .000", "stocks": ".039 ± .000", "energy": ".292 ± .000"},
        "Diffusion-TS": {"sines": ".093 ± .000", "stocks": ".036 ± .000", "energy": ".250 ± .000"},
    },
}


def windows(folder: Path, name: str) -> np.ndarray | None:
    """All windows of a set, (n, channels, 24) in [0, 1], in random order; None where its file is missing."""
    if name == "sines":
        return sine_windows(10_000, np.random.default_rng(0))
    tables = {"stocks": folder / "stock_data.csv", "energy": folder / "energy_data.csv"}
    cut = folder / "energy_subsampled_train_perc_100.npz"
    if tables[name].exists():
        values = np.loadtxt(tables[name], delimiter=",", skiprows=1)
        out = np.lib.stride_tricks.sliding_window_view(values, LENGTH, axis=0)[:-1]
    elif name == "energy" and cut.exists():
        with np.load(cut) as stored:
            out = stored["data"].transpose(0, 2, 1)
    else:
        return None
    low, high = out.min(axis=(0, 2), keepdims=True), out.max(axis=(0, 2), keepdims=True)
    return np.random.default_rng(0).permutation((out - low) / (high - low + 1e-7))


class Judge(nn.Module):
    """One layer of gated recurrent units, and a linear map of its states."""

    def __init__(self, n_inputs: int, hidden: int):
        super().__init__()
        self.cells = nn.GRU(n_inputs, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.cells(x)[0])[:, :, 0]


def steps(model: nn.Module, loss: Callable[[], torch.Tensor], n: int) -> None:
    adam = torch.optim.Adam(model.parameters(), fused=True)
    for _ in range(n):
        adam.zero_grad()
        loss().backward()
        adam.step()


def discriminative(real: np.ndarray, made: np.ndarray, seed: int, n_steps: int = 2000) -> float:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    sides = [torch.as_tensor(rng.permutation(x).transpose(0, 2, 1), dtype=torch.float32) for x in (real, made)]
    train, test = [x[: len(x) * 4 // 5] for x in sides], [x[len(x) * 4 // 5 :] for x in sides]
    model = Judge(real.shape[1], real.shape[1] // 2)

    def loss() -> torch.Tensor:
        logits = [model(x[torch.randint(len(x), (128,))])[:, -1] for x in train]
        wrong = nn.functional.softplus
        return wrong(-logits[0]).mean() + wrong(logits[1]).mean()

    steps(model, loss, n_steps)
    with torch.no_grad():
        right = [(model(test[0])[:, -1] > 0).double(), (model(test[1])[:, -1] <= 0).double()]
    return abs(float(torch.cat(right).mean()) - 0.5)


def predictive(real: np.ndarray, made: np.ndarray, seed: int, n_steps: int = 5000) -> float:
    torch.manual_seed(seed)
    model = Judge(real.shape[1] - 1, real.shape[1] // 2)
    known, x = (torch.as_tensor(x.transpose(0, 2, 1), dtype=torch.float32) for x in (real, made))

    def error(rows: torch.Tensor) -> torch.Tensor:
        return (torch.sigmoid(model(rows[:, :-1, :-1])) - rows[:, 1:, -1]).abs().mean()

    steps(model, lambda: error(x[torch.randint(len(x), (128,))]), n_steps)
    with torch.no_grad():
        return float(error(known))


def copies(made: np.ndarray, train: np.ndarray, left_out: np.ndarray) -> float:
    """Share of 300 generated windows nearer to the training set than the nearest 5 % of windows left out of it."""

    def nearest(rows: np.ndarray) -> np.ndarray:
        a, b = rows.reshape(len(rows), -1), train.reshape(len(train), -1)
        return np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0).min(axis=1))

    return float((nearest(made[:FEW]) < np.quantile(nearest(left_out), 0.05)).mean())


def one(X: np.ndarray, n_train: int, seed: int) -> dict[str, float]:
    """Our sampler, fitted on `n_train` windows (300 others are left out for the copies), judged against all of them."""
    from dualwalk import DualSampler

    order = np.random.default_rng(seed).permutation(len(X))
    left_out, train = X[order[:FEW]], X[order[FEW:][:n_train]]
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overlapping windows do look grouped
        sampler = DualSampler(random_state=seed).fit(train)
    fitted = time.process_time()
    made = sampler.sample(len(X))
    sampled = time.process_time()
    return {
        "discriminative": discriminative(X, made, seed),
        "predictive": predictive(X, made, seed),
        "copies": copies(made, train, left_out),
        "fit": fitted - begin,
        "sample": sampled - fitted,
    }


def main(folder: Path, names: list[str], n_seeds: int, table: Path | None) -> None:
    torch.set_num_threads(1)
    lines = [
        "# The literature's protocol at length 24",
        f"\n    python benchmarks/bench_generation.py --literature FOLDER --seeds {n_seeds}\n",
        f"Python {platform.python_version()}, NumPy {np.__version__}, PyTorch {torch.__version__}; one thread.\n",
        (__doc__ or "").split("\n\n", 2)[2],
        "| set | source | windows | discriminative | predictive | copies % | fit CPU s | sampling CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    for name in names:
        X = windows(folder, name)
        if X is None:
            say(f"| {name} | no file in the folder | | | | | | |")
            continue
        for n_train in (len(X) - FEW, FEW):
            runs = [one(X, n_train, seed) for seed in range(n_seeds)]
            mean = {key: np.mean([run[key] for run in runs]) for key in runs[0]}
            spread = {key: np.std([run[key] for run in runs]) for key in runs[0]}
            scores = " | ".join(f"{mean[key]:.3f} ± {spread[key]:.3f}" for key in ("discriminative", "predictive"))
            say(
                f"| {name} {X.shape[1]} x {LENGTH} | dualwalk, this run | {n_train} | {scores} | {100 * mean['copies']:.0f} "
                f"| {mean['fit']:.1f} | {mean['sample']:.1f} |"
            )
        itself = [discriminative(X, X, 0), predictive(X, X, 0)]
        say(f"| {name} | the real windows themselves, this run | {len(X)} | {itself[0]:.3f} | {itself[1]:.3f} | 100 | | |")
        for peer in PUBLISHED["discriminative"]:
            published = " | ".join(PUBLISHED[score][peer][name] for score in ("discriminative", "predictive"))
            say(f"| {name} | {peer}, published | all | {published} | | | |")
    say(DIFFERENCES)
    if table:
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")


DIFFERENCES = """
Published: X. Yuan and Y. Qiao, Diffusion-TS: Interpretable Diffusion for General Time Series Generation, ICLR 2024
(arXiv 2403.01742), table 1, which repeats TimeGAN's own numbers (J. Yoon, D. Jarrett, M. van der Schaar, NeurIPS 2019,
table 2) and gives TimeVAE's (A. Desai et al., arXiv 2111.08095) as its authors ran it.

What differs here: the judges are written anew in PyTorch with the published settings (theirs are in TensorFlow); the spread is
over fits and judges together (theirs over repeated judging); 300 windows are left out of the fit, to count copies; fitted on
300 windows, the sampler saw 2 to 9 % of what the published models saw. Stocks are the 3661 windows of the TimeGAN authors'
file (2004 to 2019), scaled a channel over the whole file, the judge's part included, as in the literature."""
