"""How every function of the table is called: with arguments that work, from which the words make others."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import dualwalk as dw
from dualwalk import metrics, plots
from dualwalk.report import write_report

from . import things
from .things import SERIES, X, Y

RNG = np.random.default_rng(5)
F = RNG.normal(size=(6, 5))
A, B, C = RNG.normal(size=(3, 12, 4))


@dataclass
class Call:
    """One function: `given` is passed always; `bases` are values for arguments that are not, with what they need beside them."""

    run: Callable[..., Any]
    given: dict[str, Any] = field(default_factory=dict)
    bases: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)
    also_outside: dict[str, Callable[[], list[Any]]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)  # of what the table's letters stand for, where no argument has them
    slow: bool = False  # a part of what is inside will do
    apart: tuple[str, ...] = ()  # words that need other arguments, or a device

    def base(self, argument: str) -> Any:
        """A value of the argument that works."""
        return self.given[argument] if argument in self.given else self.bases.get(argument)

    def with_value(self, argument: str, value: Any) -> Any:
        """The call with one argument changed."""
        return self.run(**(self.given | self.beside.get(argument, {}) | {argument: value}))


def of_sampler(name: str, **given: Any) -> Callable[..., Any]:
    return lambda **arguments: getattr(things.sampler(), name)(**(given | arguments))


def method(make: Callable[[], Any], name: str) -> Callable[..., Any]:
    """A method of what is made at the call."""
    return lambda **arguments: getattr(make(), name)(**arguments)


def fitted_with(**parameters: Any) -> Any:
    small = {"cv": 1, "n_fits": 1, "nodes": "density", "random_state": 0, "n_threads": 1}
    return dw.DualDivergence(**(small | parameters)).fit(X)


def _estimators() -> dict[str, Call]:
    new_rows = {"X": X[:3]}
    fit_of = {
        "DualDivergence": lambda: dw.DualDivergence(cv=1, n_fits=1, nodes="density", random_state=0, n_threads=1),
        "DualSampler": lambda: dw.DualSampler("local", random_state=0),
        "NormalScores": dw.NormalScores,
    }
    model_of = {"DualDivergence": things.divergence, "DualSampler": things.sampler, "NormalScores": things.scores}
    calls = {
        "DualDivergence": Call(
            fitted_with,
            bases={"cv": 2, "n_fits": 1, "blocks": np.array([0, 0, 1, 1]), "n_permutations": 19, "confidence_level": 0.9, "n_threads": 1},
            apart=("cuda",),
        ),
        "DualSampler": Call(lambda **p: dw.DualSampler(**({"walk": "local", "random_state": 0} | p)).fit(X), bases={"n_neighbors": 4},
                            beside={"dual": {"walk": "langevin"}}, apart=("cuda",)),
        "NormalScores": Call(dw.NormalScores),
        "DualSampler.fit": Call(method(fit_of["DualSampler"], "fit"), {"X": X}, {"y": Y, "groups": np.arange(16) // 2}),
        "DualSampler.sample": Call(of_sampler("sample"), {"n": 3}, {"y": np.array([0, 1, 1]), "given": np.array([0.1, np.nan, np.nan, 0.3]), "min_novelty": 0.1}),
        "DualSampler.sample_rows": Call(of_sampler("sample_rows", seed=0), {"n": 3, "start": 1, "stop": 2}, {"y": np.array([0, 1, 1])}),
        "DualSampler.impute": Call(of_sampler("impute"), {"X": np.where(np.arange(4) < 3, X[:3], np.nan)}, {"n_draws": 2, "y": Y[:3]}),
        "DualSampler.score": Call(of_sampler("score"), new_rows),
        "DualSampler.walk": Call(of_sampler("walk"), {"X0": X[:3], "n_steps": 2, "step_size": 0.05}, {"target": np.full(3, np.mean(things.sampler()._local_duals.value_range)), "noise": 0.5}),
        "DualSampler.explain": Call(of_sampler("explain"), {"X_from": X[:3]}, {"X_to": X[3:6], "n_neighbors": 2}),
        "DualSampler.interpolate": Call(of_sampler("interpolate"), {"X": X[:3], "to": X[5]}, {"n_frames": 3}),
        "DualSampler.nearest": Call(of_sampler("nearest"), new_rows),
        "DualSampler.training_distances": Call(of_sampler("training_distances")),
        "DualSampler.to_host": Call(of_sampler("to_host")),
        "DualSampler.report": Call(of_sampler("report")),
        "NormalScores.inverse_transform": Call(method(things.scores, "inverse_transform"), {"z": X[:3] / 4}),
    }  # fmt: skip
    for name, model in model_of.items():
        if name != "DualSampler":
            for own in ("fit", "fit_transform"):
                calls[f"{name}.{own}"] = Call(method(fit_of[name], own), {"X": X})
            calls[f"{name}.transform"] = Call(method(model, "transform"), new_rows)
            calls[f"{name}.set_output"] = Call(method(fit_of[name], "set_output"))
            calls[f"{name}.get_feature_names_out"] = Call(method(model, "get_feature_names_out"))
        calls[f"{name}.get_params"] = Call(method(model, "get_params"))
        calls[f"{name}.set_params"] = Call(lambda params, make=fit_of[name]: make().set_params(**params))
        calls |= _files(name, model)
    for own in ("score_samples", "predict", "node_terms", "score"):
        calls[f"DualDivergence.{own}"] = Call(method(things.divergence, own), new_rows)
    return calls


def _files(name: str, model: Callable[[], Any]) -> dict[str, Call]:
    return {
        f"{name}.save": Call(method(model, "save")),
        f"{name}.load": Call(method(lambda: getattr(dw, name), "load"), bases={"file": model}),
    }


def _duals() -> dict[str, Call]:
    rows = {"x": X[:3]}
    points = {"points": X, "neighbors": np.arange(7), "shrinkage": 0.3}
    reach = {"x0": X[:3], "path_length": 0.5, "low": np.full(4, -9.0), "high": np.full(4, 9.0)}
    layers = [np.ones((3, 4)), np.ones((1, 3))], [np.zeros(3), np.zeros(1)]
    calls = {
        "NodeDual": Call(dw.NodeDual, {"paths": [], "n_features": 3}),
        "NodeDual.terms": Call(method(things.node_dual, "terms"), rows),
        "MLPDual": Call(dw.MLPDual, {"weights": layers[0], "biases": layers[1]}),
        "MLPDual.reachable": Call(method(things.mlp, "reachable"), reach),
        "LocalDual": Call(dw.LocalDual, points),
        "LocalDual.reachable": Call(method(things.local, "reachable"), reach),
        "LocalDual.density": Call(method(things.local, "density"), {"base": "marginals"}),
        "LocalDual.diffuse": Call(
            method(things.local, "diffuse"),
            rows | {"time": 0.5, "generator": np.random.default_rng(0)},
        ),
        "LocalDual.in_deviations": Call(method(things.local, "in_deviations")),
        "LocalDual.select": Call(method(things.local, "select"), {"rows": np.array([0])}),
        "LocalCovariance": Call(dw.LocalCovariance, points),
        "LocalCovariance.from_matrix": Call(dw.LocalCovariance.from_matrix, {"covariance": np.eye(4) + 0.1}),
        "LocalCovariance.apply": Call(method(things.covariance, "apply"), {"vectors": X[:3]}),
        "LocalCovariance.color": Call(method(things.covariance, "color"), {"normals": RNG.normal(size=(3, 11))}),
        "LocalCovariance.select": Call(method(things.covariance, "select"), {"walks": np.array([0])}),
        "MixtureDual": Call(
            dw.MixtureDual,
            {"weights": np.array([0.4, 0.6]), "means": X[:2], "covariances": np.array([np.eye(4)] * 2)},
            {"factors": np.array([np.eye(4)] * 2), "time": 0.5},
            {"factors": {"covariances": None}},
        ),
        "MixtureDual.at": Call(method(things.mixture, "at"), {"time": 0.5}),
        "MixtureDual.density": Call(method(things.mixture, "density"), {"base": "normal"}),
        "MixtureDual.fit": Call(dw.MixtureDual.fit, {"points": X, "n_components": 1, "shrinkage": 0.5}),
        "MixtureDual.responsibilities": Call(method(things.mixture, "responsibilities"), rows),
        "MixtureDual.tables": Call(method(things.mixture, "tables"), {"times": np.array([0.1, 0.5])}),
        "DependenceGraph.ancestors": Call(method(things.graph, "ancestors"), {"column": 1}, sizes={"d": 4}),
        "DependenceGraph.between_groups": Call(
            method(things.graph, "between_groups"), {"groups": np.array([0, 0, 1, 1])}, sizes={"d": 4}
        ),
        "DependenceGraph.edges": Call(method(things.graph, "edges"), {"min_nats": 0.1}),
    }
    made = {"NodeDual": things.node_dual, "MLPDual": things.mlp, "LocalDual": things.local, "MixtureDual": things.mixture}
    for name, make in made.items():
        for own in ("value", "gradient", "value_and_gradient"):
            calls[f"{name}.{own}"] = Call(method(make, own), rows)
        if name != "NodeDual":
            calls[f"{name}.check_beside"] = Call(method(make, "check_beside"), rows | {"name": "x"})
        calls |= _files(name, make)
    return calls | _files("LocalCovariance", things.covariance)


def _kernels() -> dict[str, Call]:
    both = {"f_joint": F, "f_marginal": F[:3]}
    return {
        "permute_marginals": Call(
            dw.permute_marginals,
            {"x": F, "seed": 0},
            {"n_copies": 2, "blocks": np.arange(5) // 2, "out": np.empty_like(F), "n_threads": 2},
            also_outside={"out": lambda: wrong_outs(F)},
        ),
        "log_mean_exp": Call(
            dw.log_mean_exp,
            {"f": F},
            {"segments": np.array([0, 2, 6]), "weights": np.abs(F), "out": np.empty_like(F), "n_threads": 2},
            {"segments": {"f": F[:, 0]}, "out": {"return_gradient": True}},
            {"out": lambda: wrong_outs(F), "segments": lambda: [[0, 6, 2, 6], [0, 5], [1, 6], [0, 0, 6], [0, 2**63, 6]]},
        ),
        "donsker_varadhan": Call(dw.donsker_varadhan, both, {"n_threads": 2}),
        "logistic": Call(dw.logistic, both, {"n_threads": 2}),
        "walk": Call(
            dw.walk,
            {"dual": things.Bowl(), "x0": X[:3], "n_steps": 2, "step_size": 0.1, "seed": 0},
            {"target": np.array([-3.0, -2.0, -1.0]), "noise": 0.5, "bounds": (np.full(4, -99.0), np.full(4, 99.0)), "tolerance": 0.01,
             "preconditioner": np.eye(4), "n_threads": 2},
            apart=("marginals", "tf32", "bf16"),
        ),
        "anneal": Call(dw.anneal, {"dual": things.mixture(), "x0": X[:3], "t_start": 0.5, "n_steps": 2, "seed": 0}, {"t_end": 0.1, "n_threads": 2}, sizes={"d": 4}),
        "independence_test": Call(
            dw.independence_test, {"X": X, "n_permutations": 19, "random_state": 0}, {"blocks": np.array([0, 0, 1, 1]), "n_threads": 1}
        ),
        "mutual_information": Call(
            dw.mutual_information, {"X": X[:, :2], "Y": X[:, 2:], "cv": 2, "random_state": 0}, {"confidence_level": 0.9, "n_threads": 1}, slow=True
        ),
        "joint_clusters": Call(dw.joint_clusters, {"X": RNG.normal(size=(8, 24)), "n_clusters": 2, "n_levels": 2}),
        "dependence_matrix": Call(dw.dependence_matrix, {"X": X}, {"n_threads": 2}),
        "dependence_order": Call(dw.dependence_order, {"X": X}, {"n_threads": 2}),
        "load": Call(lambda **a: dw.load(**({"file": things.saved()} | a)), bases={"file": things.scores}),
        "load_japanese_vowels": Call(dw.load_japanese_vowels),
        "show_config": Call(dw.show_config),
    }  # fmt: skip


def _metrics() -> dict[str, Call]:
    two = {"real": A, "generated": B}
    self_check = {"self_check": False}
    groups = {"groups_train": np.arange(12), "groups_held_out": np.arange(12, 24)}
    seed = {"random_state": 0}
    calls = {
        "evaluate": ({"generated": A, "train": B, "held_out": C} | self_check, {"y": Y[:12], "y_train": Y[:12], "y_held_out": Y[:12]} | groups),
        "authenticity": ({"generated": A, "train": B, "held_out": C}, {"quantile": 0.2}),
        "classifier_two_sample": (two | self_check | {"cv": 2, "classifier": "logistic"}, {}),
        "memorization_two_sample": (two | self_check | {"train": C, "cv": 2}, {}),
        "nearest_neighbor_two_sample": (two | self_check, {"train": C}),
        "manifold_scores": (two | {"k": 1}, {"train": C}),
        "mmd": (two | {"n_permutations": 19}, {"length": 0.5, "train": C}),
        "energy_distance": (two | {"n_permutations": 19}, {"train": C}),
        "correlation_error": (two, {}),
        "marginal_error": (two, {}),
        "difference_kurtosis": ({"X": A}, {}),
        "train_synthetic_test_real": (
            {"X_synthetic": A, "y_synthetic": Y[:12], "X_test": B, "y_test": Y[:12]}, {"X_train": C, "y_train": Y[:12]},
        ),
    }  # fmt: skip
    reference = {"reference": RNG.normal(size=(12, 4)), "groups_reference": np.arange(24, 36)}
    beside = {
        "membership_inference": {**dict.fromkeys(groups, groups), "groups_reference": groups | reference},
        "evaluate": {
            **{name: {"y": Y[:12], "y_train": Y[:12], "y_held_out": Y[:12]} for name in ("y", "y_train", "y_held_out")},
            **dict.fromkeys(groups, groups),
        },
        "train_synthetic_test_real": {"X_train": {"y_train": Y[:12]}, "y_train": {"X_train": C}},
    }
    calls["membership_inference"] = (
        {"generated": A, "train": B, "held_out": C, "confidence_level": 0.9},
        groups | reference,
    )
    found = {
        f"metrics.{name}": Call(
            getattr(metrics, name),
            given,
            bases | {"n_max": 9} | seed,
            beside.get(name, {}),
            apart=("gru", "convolution"),
            slow=name
            in (
                "evaluate",
                "classifier_two_sample",
                "memorization_two_sample",
                "membership_inference",
                "train_synthetic_test_real",
            ),
        )
        for name, (given, bases) in calls.items()
    }
    return found


def _pictures() -> dict[str, Call]:
    drawn = {"axes": things.axes()}
    many = np.arange(6.0)
    kept = {
        "among_neighbors": ({"sample": SERIES[0], "neighbors": SERIES[:3]}, {"channel": 1}),
        "bands": ({"real": A, "generated": B[:5]}, {}),
        "between_channels": ({"graph": things.graph(), "feature_shape": (2, 2)}, {}),
        "changes": ({"values": SERIES[0]}, {"limit": 2.0}),
        "density": (
            {"f": many, "labels": np.array([0, 0, 0, 1, 1, 1]), "end_points": np.array([0.0, 5.0]), "cuts": np.array([2.5])},
            {"valleys": np.array([True]), "training_end_points": np.array([0.0, 5.0]), "generated": many[1:]},
        ),
        "dependence_graph": ({"graph": things.graph()}, {"feature_shape": (2, 2), "min_nats": 0.1}),
        "distances": ({"generated": many, "real": many[1:]}, {}),
        "dress": ({"theme": plots.LIGHT}, {}),
        "image": ({"values": SERIES[0]}, {"limit": 2.0}),
        "legend": ({"theme": plots.LIGHT}, {}),
        "node_terms": ({"terms": SERIES[0]}, {"limit": 2.0}),
        "paths": ({"f": A, "end_points": np.array([0.0, 5.0])}, {}),
        "totals": ({"values": many}, {}),
    }
    calls = {
        f"plots.{name}": Call(getattr(plots, name), drawn | given, bases, sizes={"d": 4} if "graph" in given else {}, slow=True)
        for name, (given, bases) in kept.items()
    }
    frames = {"frame_axes": [things.axes()] * 3, "f_axes": things.axes(), "frames": SERIES[:3], "f": many[:3]}
    calls["plots.legend"].run = lambda axes, theme, options=None: plots.legend(axes, theme)
    calls["plots.interpolation"] = Call(plots.interpolation, frames, {"cuts": np.array([0.5]), "limit": 2.0}, slow=True)
    calls["plots.images"] = Call(plots.images, {"X": A})
    calls["plots.smooth_density"] = Call(plots.smooth_density, {"values": many, "grid": many})
    calls["plots.Theme.cluster"] = Call(plots.LIGHT.cluster, {"k": 1, "n": 2})
    report = {"sampler": things.sampler(), "divergence": things.divergence(), "generated": X[:3] + 0.1}
    calls["report.write_report"] = Call(
        lambda path=io.BytesIO, **arguments: write_report(
            things.folder() / "x.html" if path is io.BytesIO else path, **arguments
        ),
        report,
        {"generated_labels": Y[:3]},
        sizes={"c": 4},
        slow=True,
    )
    return calls  # fmt: skip


CALLS: dict[str, Call] = {**_kernels(), **_estimators(), **_duals(), **_metrics(), **_pictures()}


def of_files(call: Call, folder: Path) -> Any:
    """The path of a file that the call's model was saved to."""
    path = folder / "model.npz"
    call.bases["file"]().save(path)
    return path


def wrong_outs(like: np.ndarray) -> list[Any]:
    """Arrays that no result may be written to."""
    frozen = np.empty_like(like)
    frozen.flags.writeable = False
    strided = np.empty((*like.shape, 2))[..., 0]
    wrong = [np.empty(like.shape, dtype) for dtype in ("float32", "int64", "complex128", ">f8", object)]
    shapes = [np.empty(like.size), np.empty(like.shape[::-1]), np.empty((0, *like.shape[1:]))]
    return [frozen, strided, np.asfortranarray(frozen), *wrong, *shapes, like, like[:], like.tolist()]
