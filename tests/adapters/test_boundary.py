"""docs/boundary.md for the adapters, and for metrics that need PyTorch: what is outside is told, in the adapters' own types."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boundary import page, things
from boundary.calls import Call
from boundary.numbers import POOL
from boundary.test_boundary import TABLE, cell_of, complaint
from extras import needs

from dualwalk import metrics

pytestmark = pytest.mark.skipif(not TABLE, reason="needs the source tree")

F = np.random.default_rng(3).normal(size=(6, 5))
MODULES = {"torch": "torch", "jax": "jax", "dask": "dask.array"}


def series_calls() -> dict[str, Call]:
    needs("torch")
    given = {
        "real": F.repeat(2, 0),
        "generated": F.repeat(2, 0),
        "self_check": False,
        "n_repeats": 1,
        "hidden": 2,
        "n_layers": 1,
        "n_max": 10,
    }
    names = ("discriminative_score", "predictive_score")
    return {
        f"metrics.{name}": Call(getattr(metrics, name), given, {"train": F.repeat(2, 0), "channel": 0}, sizes={"c": 1})
        for name in names
    }


def torch_calls() -> dict[str, Call]:
    torch = needs("torch")
    adapter = importlib.import_module("dualwalk.adapters.torch")
    f = torch.tensor(F)
    both = {"f_joint": f, "f_marginal": f}
    critic = torch.nn.Sequential(torch.nn.Linear(5, 1))
    calls = {
        "permute_marginals": Call(adapter.permute_marginals, {"x": f, "seed": 0}, {"blocks": np.arange(5), "n_copies": 2}),
        "log_mean_exp": Call(adapter.log_mean_exp, {"f": f}, {"segments": np.array([0, 2, 6]), "weights": f.abs()}, {"segments": {"f": f[:, 0]}}),
        "donsker_varadhan": Call(adapter.donsker_varadhan, both),
        "logistic": Call(adapter.logistic, both),
        "walk": Call(
            adapter.walk, {"module": critic, "x0": f.float(), "n_steps": 1, "step_size": 0.1},
            {"target": np.zeros(6), "noise": 0.5, "tolerance": 0.01, "preconditioner": np.eye(5), "bounds": (np.full(5, -9.0), np.full(5, 9.0))},
        ),
        "to_dual": Call(adapter.to_dual, {"module": critic}),
        "to_module": Call(adapter.to_module, {"dual": things.mlp()}),
        "MLPModule": Call(adapter.MLPModule, {"dual": things.mlp()}),
        "MLPModule.forward": Call(adapter.MLPModule(things.mlp()).forward, {"x": f[:, :4]}),
        "NodeModule": Call(adapter.NodeModule, {"dual": things.node_dual()}),
        "NodeModule.forward": Call(adapter.NodeModule(things.node_dual()).forward, {"x": f[:, :4]}),
    }  # fmt: skip
    return {f"adapters.torch.{name}": call for name, call in calls.items()}


def jax_calls() -> dict[str, Call]:
    needs("jax")
    adapter = importlib.import_module("dualwalk.adapters.jax")
    both = {"f_joint": F, "f_marginal": F}
    calls = {
        "permute_marginals": Call(adapter.permute_marginals, {"x": F, "seed": 0}, {"blocks": np.arange(5), "n_copies": 2, "n_threads": 1}),
        "log_mean_exp": Call(
            adapter.log_mean_exp, {"f": F}, {"segments": np.array([0, 2, 6]), "weights": np.abs(F), "n_threads": 1}, {"segments": {"f": F[:, 0]}}
        ),
        "donsker_varadhan": Call(adapter.donsker_varadhan, both, {"n_threads": 1}),
        "logistic": Call(adapter.logistic, both, {"n_threads": 1}),
        "walk": Call(
            adapter.walk, {"dual": things.Bowl(), "x0": F, "n_steps": 1, "step_size": 0.1},
            {"target": np.zeros(6), "noise": 0.5, "tolerance": 0.01, "preconditioner": np.eye(5), "n_threads": 1,
             "bounds": (np.full(5, -9.0), np.full(5, 9.0))},
        ),
    }  # fmt: skip
    return {f"adapters.jax.{name}": call for name, call in calls.items()}


def dask_calls() -> dict[str, Call]:
    needs("dask.array")
    adapter = importlib.import_module("dualwalk.adapters.dask")
    X, model = things.X, {"model": things.divergence(), "x": things.X[:3]}
    replicates = {"estimator": things.scores(), "X": X, "n_replicates": 1, "seed": 0}
    calls = {
        "bootstrap": Call(adapter.bootstrap, replicates, {"y": things.Y, "groups": things.Y}),
        "bootstrap_rows": Call(adapter.bootstrap_rows, {"n_samples": 16, "replicate": 0, "seed": 0}, {"groups": things.Y}, sizes={"n": 16}),
        "fit_many": Call(adapter.fit_many, {"estimator": things.scores(), "datasets": [X]}),
        "dependence_matrix": Call(adapter.dependence_matrix, {"X": X}, {"block": 1024}),
        "dependence_order": Call(adapter.dependence_order, {"X": X}, {"block": 1024}),
        "sample": Call(adapter.sample, {"sampler": things.sampler(), "n": 3, "seed": 0}, {"y": np.array([0, 1, 1])}),
        "sample_many": Call(adapter.sample_many, {"samplers": [things.sampler()], "n": 3, "seed": 0}, {"y": np.array([0, 1, 1])}, sizes={"n": 3}),
        "open_array": Call(adapter.open_array),
        "store": Call(adapter.store, {"array": F, "path": things.folder() / "x.npy", "overwrite": True}),
    }  # fmt: skip
    calls |= {name: Call(getattr(adapter, name), model) for name in ("score_samples", "transform", "predict", "node_terms")}
    return {f"adapters.dask.{name}": call for name, call in calls.items()}


CALLS = {"torch": torch_calls, "jax": jax_calls, "dask": dask_calls, "series": series_calls}


@pytest.mark.parametrize("name", MODULES)
def test_every_argument_is_in_the_table(name: str) -> None:
    needs(MODULES[name])
    adapter = importlib.import_module(f"dualwalk.adapters.{name}")
    own = [public for public in adapter.__all__ if public not in ("Objective", "WalkResult")]
    here = {
        function: [row.argument for row in rows] for function, rows in TABLE.items() if function.startswith(f"adapters.{name}.")
    }
    assert here == page.public(adapter, f"adapters.{name}.", own)
    assert {function for function, rows in here.items() if rows} <= CALLS[name]().keys()


@pytest.mark.parametrize("name", CALLS)
def test_what_is_outside_is_told(name: str, tmp_path: Path) -> None:
    wrong = []
    for function, call in CALLS[name]().items():
        for row in TABLE[function]:
            base = call.base(row.argument)
            for value in cell_of(row, call, tmp_path).outside(_plain(base), POOL):
                if complaint(row, call, value):
                    wrong.append(f"{function} {row.argument} {value!r:.60}: {complaint(row, call, value)}")
    assert not wrong, "\n".join(wrong)


def _plain(base: Any) -> Any:
    """A tensor as a NumPy array, from which the words make others."""
    return base.numpy() if hasattr(base, "numpy") else base
