"""Duals as modules and back, and walks along modules: the same f, the same walks, and nothing left behind."""

from __future__ import annotations

import copy
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from _nodes import some_weights
from extras import needs
from test_node_dual import D, some_path, some_rows

import dualwalk as dw
from dualwalk._nodepath.path import CODES
from dualwalk._nodepath.tables import count_tables
from dualwalk._refine.choice import Refinement
from dualwalk._refine.mixture import Recipe, fit_mixture
from dualwalk.duals.node import FittedPath

torch = needs("torch")
dwt = needs("dualwalk.adapters.torch")


pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture
def rows(rng: np.random.Generator) -> np.ndarray:
    return some_rows(rng, 80)


def leveled(z: np.ndarray) -> np.ndarray:
    return np.where(z < -0.5, -1.0, np.where(z < 0.7, 0.1, z))


def paths(kind: str, z: np.ndarray, rng: np.random.Generator) -> list[FittedPath]:
    plain = some_path(rng, z, 0.9)
    if kind == "contrastive":
        weights = some_weights(rng, "contrastive", 2, n_inputs=len(CODES), n_hidden=16)
        return [replace(plain, kind="contrastive", weights=weights, base=base) for base in ("2 parents", "independent")]
    if kind == "tables":
        ordered = z[:, plain.path.order]
        tables = count_tables(ordered, ordered, plain.path.parent, 3.0)
        assert tables is not None
        return [replace(plain, tables=replace(tables, weight=0.5))]
    if kind == "refined":
        recipe = Recipe(2, "means", "none", 0.5)
        return [replace(plain, refinement=Refinement(recipe, fit_mixture(z[:, plain.path.order], recipe), 0.3, 0.1))]
    return [plain, replace(some_path(rng, z[:60], 1.0), alpha=0.0), some_path(rng, z[:50], 1.1)]


KINDS = ("density", "contrastive", "tables", "refined")


def node_dual(kind: str, z: np.ndarray, rng: np.random.Generator, dtype: Any = np.float64) -> dw.NodeDual:
    return dw.NodeDual(paths(kind, z, rng), D, dtype=dtype)


def data_of(kind: str, rows: np.ndarray) -> np.ndarray:
    return leveled(rows) if kind == "tables" else rows


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_dual_as_a_module_has_the_same_f_and_slopes(kind: str, rows: np.ndarray, rng: np.random.Generator) -> None:
    z = data_of(kind, rows)
    dual = node_dual(kind, z, rng)
    module = dwt.to_module(dual)
    x = torch.tensor(z, requires_grad=True)
    f = module(x)
    np.testing.assert_allclose(f.detach(), dual.value(z), rtol=1e-9, atol=1e-9)
    f.sum().backward()
    np.testing.assert_allclose(x.grad, dual.gradient(z), rtol=1e-7, atol=1e-7)
    single = dwt.to_module(dw.NodeDual(dual.paths, D))
    assert single(x.float()).dtype == torch.float32
    np.testing.assert_allclose(single(x).detach(), dual.value(z), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n_columns", ["low rank", "dense"])
def test_a_fitted_dual_goes_out_and_back(n_columns: str, rng: np.random.Generator) -> None:
    loading = rng.standard_normal((2, 9))
    X = rng.standard_normal((120, 2)) @ loading + rng.standard_normal((120, 9))
    model = dw.DualDivergence(cv=2, random_state=0).fit(X)
    z = model.normal_scores_.transform(X)
    module = dwt.to_module(model.dual_)
    np.testing.assert_allclose(module(torch.tensor(z)).detach(), model.dual_.value(z), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(dwt.to_dual(module).value(z), model.dual_.value(z))


def same(a: Any, b: Any) -> bool:
    """Equal in every array and every number."""
    if is_dataclass(a):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
    if isinstance(a, dict):
        return all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return all(map(same, a, b))
    return bool(np.array_equal(a, b)) and getattr(a, "dtype", None) == getattr(b, "dtype", None)


@pytest.mark.parametrize("kind", KINDS)
def test_back_again_every_number_is_the_same(kind: str, rows: np.ndarray, rng: np.random.Generator) -> None:
    z = data_of(kind, rows)
    dual = node_dual(kind, z, rng)
    module = copy.deepcopy(dwt.to_module(dual))
    again = dwt.to_dual(module)
    assert len(again.paths) == len(dual.paths)
    assert all(map(same, dual.paths, again.paths))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(again.value(z), dual.value(z))  # a copy


def test_states_go_from_module_to_module(rows: np.ndarray, rng: np.random.Generator) -> None:
    one, other = (dwt.to_module(node_dual("refined", rows, rng)) for _ in range(2))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(torch.tensor(rows)), other(torch.tensor(rows)))


def test_a_node_module_trains(rows: np.ndarray, rng: np.random.Generator) -> None:
    module = dwt.to_module(node_dual("density", rows, rng))
    x = torch.tensor(rows[:40])
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    first = None
    for seed in range(4):
        optimizer.zero_grad()
        loss = -dwt.logistic(module(x), module(dwt.permute_marginals(x, seed=seed))).value
        loss.backward()
        optimizer.step()
        first = loss.item() if first is None else first
    assert loss.item() < first
    assert dwt.to_dual(module).value(rows).shape == (80,)


def test_blocks_of_nodes_do_not_change_anything(
    rows: np.ndarray, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = dwt.to_module(node_dual("density", rows, rng))
    x = torch.tensor(rows[:20], requires_grad=True)
    slopes = torch.autograd.grad(module(x).sum(), [x, *module.parameters()], allow_unused=True)
    monkeypatch.setattr("dualwalk.adapters.torch._node_module._NUMBERS_AT_ONCE", 1)
    for a, b in zip(torch.autograd.grad(module(x).sum(), [x, *module.parameters()], allow_unused=True), slopes, strict=True):
        assert (a is None and b is None) or torch.allclose(a, b)


def some_mlp(rng: np.random.Generator, n_features: int = D) -> dw.MLPDual:
    sizes = [(8, n_features), (7, 8), (1, 7)]
    return dw.MLPDual([rng.standard_normal(s) / 2 for s in sizes], [rng.standard_normal(s[0]) for s in sizes])


def test_a_perceptron_goes_out_and_back(rows: np.ndarray, rng: np.random.Generator) -> None:
    dual = some_mlp(rng)
    module = dwt.to_module(dual)
    x = torch.tensor(rows, requires_grad=True)
    np.testing.assert_allclose(module(x).detach(), dual.value(rows), rtol=1e-12)
    module(x).sum().backward()
    np.testing.assert_allclose(x.grad, dual.gradient(rows), rtol=1e-10, atol=1e-12)
    again = dwt.to_dual(module)
    assert same(dual.weights, again.weights)
    assert same(dual.biases, again.biases)
    assert sum(p.requires_grad for p in module.parameters()) == 6


def test_a_users_perceptron_becomes_a_dual(rows: np.ndarray) -> None:
    nn = torch.nn
    critic = nn.Sequential(nn.Flatten(), nn.Linear(D, 5), nn.SiLU(), nn.Dropout(), nn.Linear(5, 1, bias=False), nn.Flatten(0))
    with pytest.raises(TypeError, match=r"nn\.Sequential of nn\.Linear and nn\.SiLU"):
        dwt.to_dual(critic)  # its dropout would be lost
    dual = dwt.to_dual(critic.eval())
    expected = critic(torch.tensor(rows, dtype=torch.float32)).detach()
    np.testing.assert_allclose(dual.value(rows.astype(np.float32)), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(dual.weights[0], critic[1].weight.detach().double())
    half = dwt.to_dual(critic.bfloat16())
    np.testing.assert_array_equal(half.weights[0], critic[1].weight.detach().double())


def test_what_is_no_dual_is_refused() -> None:
    nn = torch.nn
    others = [
        nn.Linear(3, 1),
        nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)),
        nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1)),
        nn.Sequential(),
    ]
    hooked = nn.Sequential(nn.Linear(3, 1))
    hooked[0].register_forward_hook(lambda *_: None)
    weighted = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 1)))
    for module in (*others, hooked, weighted):
        with pytest.raises(TypeError, match="module must be a NodeModule"):
            dwt.to_dual(module)
    with pytest.raises(TypeError, match="dual must be a NodeDual or an MLPDual; got int"):
        dwt.to_module(3)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3\); got \(2, 4\)"):
        dwt.to_module(dw.NodeDual([], 3))(torch.zeros(2, 4))
    assert torch.equal(dwt.to_module(dw.NodeDual([], 3))(torch.ones(2, 3)), torch.zeros(2))
    assert dwt.to_dual(dwt.to_module(dw.NodeDual([], 3))).n_features == 3


# walks

OPTIONS: dict[str, dict[str, Any]] = {
    "ascent": {"n_steps": 12, "step_size": 0.05},
    "noise": {"n_steps": 9, "step_size": 0.02, "noise": 1.0, "seed": 4, "record": True},
    "target": {"n_steps": 30, "step_size": 0.1, "target": 0.4, "bounds": (-4.0, 4.0)},
    "base": {"n_steps": 5, "step_size": 0.05, "base": "normal", "preconditioner": 0.5 * np.eye(D)},
}


def assert_same_walks(got: Any, expected: Any, *, exact: bool) -> None:
    for ours, theirs in zip(got, expected, strict=True):
        if theirs is None:
            assert ours is None
            continue
        assert isinstance(ours, torch.Tensor)
        assert not ours.requires_grad
        assert ours.numpy().dtype == theirs.dtype
        if exact:
            np.testing.assert_array_equal(ours, theirs)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_walks_along_a_module_are_the_duals(options: str, dtype: Any, rows: np.ndarray, rng: np.random.Generator) -> None:
    dual, x0 = some_mlp(rng), np.clip(rows, -3, 3).astype(dtype)
    expected = dw.walk(dual, x0, **OPTIONS[options])
    ours = dict(OPTIONS[options])
    if "preconditioner" in ours:
        ours["preconditioner"] = torch.tensor(ours["preconditioner"])
    if "target" in ours:
        ours |= {"target": torch.full((len(x0),), ours["target"], dtype=torch.float64), "bounds": (torch.full((D,), -4.0), 4.0)}
    compiled = dwt.to_module(dual)
    assert_same_walks(dwt.walk(compiled, torch.tensor(x0), **ours), expected, exact=True)
    module = compiled.to(torch.tensor(x0).dtype)
    called = []

    def column(x: Any) -> Any:
        called.append(len(x))
        return module(x)[:, None]

    assert_same_walks(dwt.walk(column, torch.tensor(x0), **ours), expected, exact=False)
    assert called


def test_a_node_module_is_walked_as_its_dual(rows: np.ndarray, rng: np.random.Generator) -> None:
    dual = node_dual("density", rows, rng)
    module = dwt.to_module(dual)
    options = OPTIONS["noise"]
    expected = dw.walk(dual, rows, **options)
    assert_same_walks(dwt.walk(module, torch.tensor(rows), **options), expected, exact=True)
    assert_same_walks(dwt.walk(lambda x: module(x), torch.tensor(rows), **options), expected, exact=False)


def test_series_walk_in_their_own_shape() -> None:
    net = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(9, 1))
    x0 = torch.randn(4, 2, 5)
    result = dwt.walk(net, x0, n_steps=6, step_size=0.1, bounds=(-torch.ones(2, 5) * 9, 9.0), record=True)
    assert result.x.shape == (4, 2, 5)
    assert result.trajectory.shape == (4, 7, 2, 5)
    torch.testing.assert_close(result.f.float(), net(result.x).detach()[:, 0])
    x = x0.clone()
    for _ in range(6):  # gradient ascent by hand
        x.requires_grad_()
        (slope,) = torch.autograd.grad(net(x).sum(), x)
        x = x.detach() + 0.1 * slope
    torch.testing.assert_close(result.x, x)


def test_a_walk_leaves_the_module_as_it_was() -> None:
    nn = torch.nn
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).train()
    module[0].weight.requires_grad_(False)
    module[2].weight.grad = torch.ones(1, 4)
    x0 = torch.randn(5, 3, requires_grad=True)
    state, start = copy.deepcopy(module.state_dict()), x0.detach().clone()
    with torch.inference_mode():
        dwt.walk(module, x0, n_steps=3, step_size=0.1)
    with torch.no_grad():
        dwt.walk(module, x0, n_steps=3, step_size=0.1)
    assert module.training
    assert not module[0].weight.requires_grad
    assert module[0].bias.grad is None
    assert torch.equal(module[2].weight.grad, torch.ones(1, 4))
    assert all(torch.equal(state[name], value) for name, value in module.state_dict().items())
    assert torch.equal(x0, start)
    assert x0.grad is None


def test_the_noise_is_torchs_to_seed() -> None:
    def bowl(x: Any) -> Any:
        return -(x**2).sum(1)

    def ends(seed: Any = None) -> Any:
        return dwt.walk(bowl, torch.zeros(3, 2), n_steps=2, step_size=0.1, noise=1.0, seed=seed).x

    torch.manual_seed(1)
    first, second = ends(), ends()
    torch.manual_seed(1)
    assert torch.equal(ends(), first)
    assert not torch.equal(first, second)
    assert torch.equal(ends(3), ends(torch.tensor(3)))
    state = torch.get_rng_state()
    dwt.walk(bowl, torch.zeros(3, 2), n_steps=2, step_size=0.1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("module", "x0", "error", "words"),
    [
        (3, torch.zeros(2, 2), TypeError, "module must be an nn.Module"),
        (torch.sum, np.zeros((2, 2)), TypeError, "x0 must be a tensor"),
        (torch.sum, torch.zeros(2, 2).half(), TypeError, r"x0 must be float32 or float64"),
        (torch.sum, torch.zeros(2), ValueError, r"pass x0\[None\]"),
        (torch.sum, torch.zeros(2, 2), ValueError, r"shape \(2,\) or \(2, 1\); got \(\)"),
        (lambda x: x.detach().sum(1), torch.zeros(2, 2), ValueError, "without a gradient"),
        (
            torch.nn.Linear(2, 1, device="meta"),
            torch.zeros(2, 2),
            ValueError,
            "x0 must be on the device of module's parameters",
        ),
    ],
)
def test_walks_refuse_what_cannot_be_walked(module: Any, x0: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        dwt.walk(module, x0, n_steps=2, step_size=0.1)
