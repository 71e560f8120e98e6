"""The kernels on tensors: NumPy's results, checked derivatives, the compiler, torch.func, dtypes and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from extras import needs

import dualwalk as dw

torch = needs("torch")
dwt = needs("dualwalk.adapters.torch")

METHODS = ("shuffle", "resample", "shift")
OPERATORS = torch.ops.dualwalk

# torch's own code calls what torch has deprecated
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")


@pytest.fixture(autouse=True)
def _same_numbers(one_torch_thread: None) -> None:
    torch.manual_seed(7)


def double(*shape: int) -> Any:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


# the same as NumPy's


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool])
def test_rows_move_as_in_numpy(method: str, dtype: Any) -> None:
    x = (torch.randn(50, 2, 3) * 9).to(dtype)
    for given in (x, x.transpose(1, 2), x[::2], x[:, 0]):
        for options in ({}, {"n_copies": 3}, {"blocks": [0, 1, 0] if given.shape[-1] == 3 and given.ndim == 2 else None}):
            got = dwt.permute_marginals(given, seed=5, method=method, **options)
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, dw.permute_marginals(given.numpy(), seed=5, method=method, **options))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_moves_bit_by_bit(dtype: Any) -> None:
    x = torch.randn(40, 3).to(dtype)
    expected = dwt.permute_marginals(x.float(), seed=1).to(dtype)
    assert torch.equal(dwt.permute_marginals(x, seed=1), expected)


def test_largest_seed_and_generators() -> None:
    x = torch.arange(40.0).reshape(20, 2)
    np.testing.assert_array_equal(dwt.permute_marginals(x, seed=2**64 - 1), dw.permute_marginals(x.numpy(), seed=2**64 - 1))
    np.testing.assert_array_equal(
        dwt.permute_marginals(x, seed=np.random.default_rng(3)), dw.permute_marginals(x.numpy(), seed=np.random.default_rng(3))
    )
    assert torch.equal(dwt.permute_marginals(x, seed=torch.tensor(4)), dwt.permute_marginals(x, seed=4))


def test_without_a_seed_torch_draws_it() -> None:
    x = torch.arange(400.0).reshape(200, 2)
    torch.manual_seed(3)
    first, second = dwt.permute_marginals(x), dwt.permute_marginals(x)
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(dwt.permute_marginals(x), first)
    draws = [dwt.permute_marginals(x, seed=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_mean_exp_is_numpys(dtype: Any) -> None:
    f, weights = (torch.randn(4, 5, 6) * 3).to(dtype), torch.rand(4, 5, 6).to(dtype)
    for given, w in ((f, None), (f, weights), (f.transpose(0, 2), None), (f[:, ::2], weights[:, ::2]), (f, weights[0])):
        for axis in (None, 0, -1, (0, 2), ()):
            value, slope = dwt.log_mean_exp(given, axis=axis, weights=w, return_gradient=True)
            expected = dw.log_mean_exp(given.numpy(), axis=axis, weights=None if w is None else w.numpy(), return_gradient=True)
            np.testing.assert_array_equal(value, expected[0])
            np.testing.assert_array_equal(slope, expected[1])
            assert value.dtype == slope.dtype == dtype
            assert torch.equal(dwt.log_mean_exp(given, axis=axis, weights=w), value)
    segments = [0, 1, 70, 120]
    np.testing.assert_array_equal(
        dwt.log_mean_exp(f.flatten(), segments=torch.tensor(segments)), dw.log_mean_exp(f.numpy().ravel(), segments=segments)
    )


@pytest.mark.parametrize("name", ["donsker_varadhan", "logistic"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_objectives_are_numpys(name: str, dtype: Any) -> None:
    joint, marginal = torch.randn(7, 2).to(dtype).T, torch.randn(9).to(dtype)
    got, expected = getattr(dwt, name)(joint, marginal), getattr(dw, name)(joint.numpy(), marginal.numpy())
    assert got.value.dtype == dtype
    np.testing.assert_allclose(got.value, expected.value, rtol=1e-6 if dtype == torch.float32 else 0)
    np.testing.assert_array_equal(got.grad_joint, expected.grad_joint)
    np.testing.assert_array_equal(got.grad_marginal, expected.grad_marginal)


def test_known_answers() -> None:
    assert dwt.log_mean_exp(torch.tensor([1000.0, 1000.0])).item() == 1000
    assert dwt.log_mean_exp(torch.tensor([-np.inf, np.log(2.0)])).item() == pytest.approx(0, abs=1e-7)
    assert dwt.logistic(torch.zeros(3), torch.zeros(2)).value.item() == pytest.approx(-2 * np.log(2))
    assert dwt.donsker_varadhan(torch.ones(3), torch.zeros(2)).value.item() == 1
    f = double(30)
    assert torch.allclose(dwt.log_mean_exp(f), f.logsumexp(0) - np.log(30))


def test_the_gradient_kernel_is_the_softmax() -> None:
    f = double(6, 8)
    (slope,) = torch.autograd.grad(dwt.log_mean_exp(f, axis=1).sum(), f)
    torch.testing.assert_close(slope, f.softmax(1))


# derivatives


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_copies", [None, 3])
def test_derivatives_of_a_rearrangement(method: str, n_copies: int | None) -> None:
    def rearranged(x: Any) -> Any:
        return dwt.permute_marginals(x, seed=3, method=method, n_copies=n_copies, blocks=[0, 1, 0])

    x = double(9, 3)
    assert torch.autograd.gradcheck(rearranged, x)
    assert torch.autograd.gradgradcheck(lambda x: rearranged(x**2), x)


@pytest.mark.parametrize(("shape", "n_copies"), [((0, 3), None), ((3, 0), None), ((3, 2), 0)])
def test_derivatives_of_nothing(shape: tuple[int, int], n_copies: int | None) -> None:
    x = double(*shape)
    dwt.permute_marginals(x, n_copies=n_copies).sum().backward()
    assert torch.equal(x.grad, torch.zeros(shape, dtype=torch.float64))


def test_half_precision_gradients_add_up_in_float32() -> None:
    x = torch.ones(4096, 1, dtype=torch.bfloat16, requires_grad=True)
    dwt.permute_marginals(x, seed=1, n_copies=300).sum().backward()
    assert (x.grad == 300).all()  # 1 + 1 + .. in bfloat16 would stay at 256


CASES = {
    "all": lambda f, w: dwt.log_mean_exp(f),
    "axis": lambda f, w: dwt.log_mean_exp(f, axis=1, weights=w, return_gradient=True),
    "axes": lambda f, w: dwt.log_mean_exp(f[None], axis=(0, -1), weights=w[0], return_gradient=True),
    "segments": lambda f, w: dwt.log_mean_exp(f.flatten(), segments=[0, 3, 12], weights=w.flatten(), return_gradient=True),
    "donsker_varadhan": lambda f, w: dwt.donsker_varadhan(f, w[1:]),
    "logistic": lambda f, w: dwt.logistic(f, w[1:]),
}


@pytest.mark.parametrize("case", CASES)
def test_derivatives_of_values_and_of_gradients(case: str) -> None:
    f, w = double(3, 4), (torch.rand(3, 4, dtype=torch.float64) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(CASES[case], (f, w))
    assert torch.autograd.gradgradcheck(CASES[case], (f, w))


def test_second_derivatives_where_the_first_was_not_kept() -> None:
    f = double(4)
    value, slope = OPERATORS.log_mean_exp(f, [0], None, None, False)
    assert slope.numel() == 0
    (first,) = torch.autograd.grad(value, f, create_graph=True)
    (second,) = torch.autograd.grad(first[0], f)
    p = f.detach().softmax(0)
    torch.testing.assert_close(second, p[0] * (torch.eye(4, dtype=torch.float64)[0] - p))


# operators and the compiler


def operator_cases() -> dict[str, Any]:
    x, seed, f, w = double(9, 3), torch.tensor(3), double(4, 5), torch.rand(4, 5, dtype=torch.float64).requires_grad_()
    single, flat, flat_weights = (part.detach().float().requires_grad_() for part in (f, f.flatten(), w.flatten()))
    labels, offsets = torch.tensor([0, 0, 1]), torch.tensor([0, 3, 20])
    return {
        "permute": (OPERATORS.permute_marginals, (x, seed)),
        "permute copies": (OPERATORS.permute_marginals, (x, seed, labels, 2, "resample")),
        "permute series, strides": (OPERATORS.permute_marginals, (torch.randn(4, 2, 3).transpose(1, 2), seed)),
        "permute integers": (OPERATORS.permute_marginals, (torch.arange(6).reshape(3, 2), seed, None, 0, "shift")),
        "permute nothing": (OPERATORS.permute_marginals, (torch.zeros(0, 3), seed)),
        "adjoint": (OPERATORS.permute_marginals_adjoint, (double(2, 9, 3), seed, labels, 2, "shuffle")),
        "log_mean_exp": (OPERATORS.log_mean_exp, (f, [0, 1])),
        "log_mean_exp weights": (OPERATORS.log_mean_exp, (single, [-1], w.detach().float())),
        "log_mean_exp segments": (OPERATORS.log_mean_exp, (flat, [0], flat_weights, offsets)),
        "log_mean_exp value": (OPERATORS.log_mean_exp, (f.detach().T, [0], None, None, False)),
        "donsker_varadhan": (OPERATORS.donsker_varadhan, (f, w)),
        "logistic": (OPERATORS.logistic, (f.detach().T.float(), w)),
    }


@pytest.mark.parametrize("case", operator_cases())
def test_operators_keep_torchs_rules(case: str) -> None:
    operator, arguments = operator_cases()[case]
    results = torch.library.opcheck(operator.default, arguments)
    assert set(results.values()) == {"SUCCESS"}


def objective(x: Any, f: Any, seed: Any = None) -> Any:
    """All four, as a user's step might have them."""
    joint = dwt.permute_marginals(x, n_copies=2, seed=seed, blocks=[0, 1, 0]).sum(-1)
    value = dwt.donsker_varadhan(f, joint).value + dwt.logistic(joint[0], f).value
    return value + dwt.log_mean_exp(joint, axis=1, weights=x[:, 0].abs()).sum() + dwt.log_mean_exp(f, segments=[0, 2, 6]).sum()


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_without_a_break(backend: str) -> None:
    torch._dynamo.reset()
    x, f = double(8, 3), double(6)
    compiled = torch.compile(objective, fullgraph=True, backend=backend)
    for rows, seed in ((x, 1), (x, 2), (double(11, 3), 3), (x, 2**64 - 1)):
        expected, got = objective(rows, f, seed), compiled(rows, f, seed)
        torch.testing.assert_close(got, expected)
        for ours, theirs in zip(torch.autograd.grad(got, (rows, f)), torch.autograd.grad(expected, (rows, f)), strict=True):
            torch.testing.assert_close(ours, theirs)
    without_seed = torch.compile(dwt.permute_marginals, fullgraph=True, backend=backend)
    draws = []
    for seed in (0, None, 0):
        if seed is not None:
            torch.manual_seed(seed)
        draws.append(without_seed(x.detach()))
    assert torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[1])


def test_a_critic_trains_compiled_and_not_alike() -> None:
    torch._dynamo.reset()
    x = torch.randn(64, 4)
    x[:, 1] += x[:, 0]

    def train(step_of: Any) -> list[float]:
        torch.manual_seed(0)
        critic = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.SiLU(), torch.nn.Linear(8, 1))
        optimizer = torch.optim.SGD(critic.parameters(), lr=0.1)

        def loss(seed: int) -> Any:
            return -dwt.donsker_varadhan(critic(x), critic(dwt.permute_marginals(x, seed=seed))).value

        step, losses = step_of(loss), []
        for seed in range(8):
            optimizer.zero_grad()
            value = step(seed)
            value.backward()
            optimizer.step()
            losses.append(value.item())
        return losses

    plain = train(lambda loss: loss)
    assert plain[-1] < plain[0]
    np.testing.assert_allclose(train(lambda loss: torch.compile(loss, fullgraph=True, backend="aot_eager")), plain, rtol=1e-4)


def test_functions_of_functions() -> None:
    from torch.func import grad, jacrev, vmap

    f = torch.randn(5, 6, dtype=torch.float64)
    torch.testing.assert_close(grad(dwt.log_mean_exp)(f[0]), f[0].softmax(0))
    torch.testing.assert_close(vmap(dwt.log_mean_exp)(f), dwt.log_mean_exp(f, axis=1))
    torch.testing.assert_close(vmap(dwt.log_mean_exp, in_dims=1)(f), dwt.log_mean_exp(f, axis=0))
    torch.testing.assert_close(vmap(grad(dwt.log_mean_exp))(f), f.softmax(1))
    torch.testing.assert_close(grad(lambda f: vmap(dwt.log_mean_exp)(f).sum())(f), f.softmax(1))
    p = f[0].softmax(0)
    torch.testing.assert_close(jacrev(jacrev(dwt.log_mean_exp))(f[0]), p.diag() - p.outer(p))
    rows = vmap(lambda f: dwt.log_mean_exp(f, segments=[0, 2, 6]))(f)
    torch.testing.assert_close(rows[3], dwt.log_mean_exp(f[3], segments=[0, 2, 6]))
    shared = vmap(lambda f, w: dwt.log_mean_exp(f, weights=w), in_dims=(None, 0))(f[0], f.exp())
    torch.testing.assert_close(shared[2], dwt.log_mean_exp(f[0], weights=f[2].exp()))
    values = vmap(lambda a: dwt.logistic(a, f[0]).value)(f)
    torch.testing.assert_close(values[1], dwt.logistic(f[1], f[0]).value)


@pytest.mark.parametrize("n_copies", [None, 2])
def test_batches_of_rearrangements(n_copies: int | None) -> None:
    from torch.func import grad, vmap

    x = torch.randn(5, 9, 2, 3)

    def one(x: Any, seed: Any = 4) -> Any:
        return dwt.permute_marginals(x, seed=seed, n_copies=n_copies, blocks=[1, 0])

    assert torch.equal(vmap(one)(x), torch.stack([one(rows) for rows in x]))
    assert torch.equal(vmap(one, in_dims=2)(x.movedim(0, 2)), torch.stack([one(rows) for rows in x]))
    torch.testing.assert_close(vmap(grad(lambda x: (one(x) ** 2).sum()))(x), 2 * (n_copies or 1) * x)
    seeds = torch.arange(5)
    assert torch.equal(vmap(one)(x, seeds), torch.stack([one(rows, k) for rows, k in zip(x, seeds, strict=True)]))
    each = vmap(lambda x: dwt.permute_marginals(x), randomness="different")(x[:1].expand(5, -1, -1, -1))
    assert not torch.equal(each[0], each[1])


# modes, dtypes, threads, errors


def test_modes_of_torch() -> None:
    f = double(6)
    with torch.inference_mode():
        value = dwt.log_mean_exp(f)
    assert value.is_inference()
    with torch.no_grad():
        assert not dwt.logistic(f, f).value.requires_grad
    with torch.autocast("cpu", torch.bfloat16):
        product = torch.randn(8, 8) @ torch.randn(8, 8)
        assert product.dtype == torch.bfloat16
        assert dwt.log_mean_exp(product).dtype == torch.float32
        assert dwt.donsker_varadhan(product, product).value.dtype == torch.float32
        assert dwt.permute_marginals(product).dtype == torch.bfloat16


def test_bits_do_not_depend_on_threads() -> None:
    x, f = torch.randn(3000, 60, requires_grad=True), torch.randn(300_000)
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        permuted = dwt.permute_marginals(x, seed=1, method="resample")
        (slope,) = torch.autograd.grad((permuted**2).sum(), x)
        results.append((permuted, slope, dwt.log_mean_exp(f), *dwt.logistic(f, f)))
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_the_input_is_not_touched_and_the_result_is_new_memory() -> None:
    x = torch.arange(12.0).reshape(6, 2)
    kept = x.clone()
    dwt.permute_marginals(x).zero_()
    assert torch.equal(x, kept)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: dwt.permute_marginals(np.zeros((3, 2))), TypeError, "x must be a tensor; got ndarray"),
        (lambda: dwt.permute_marginals(torch.zeros(3)), ValueError, r"pass x\[:, None\]"),
        (lambda: dwt.permute_marginals(torch.zeros(3, 2, dtype=torch.complex64)), TypeError, "got dtype torch.complex64"),
        (lambda: dwt.permute_marginals(torch.zeros(3, 2).to_sparse()), TypeError, "to_dense"),
        (lambda: dwt.permute_marginals(torch.zeros(3, 2, device="meta")), TypeError, "on meta"),
        (lambda: dwt.permute_marginals(torch.zeros(3, 2), method="swap"), ValueError, "method must be one of"),
        (lambda: dwt.permute_marginals(torch.zeros(3, 2), seed=-1), ValueError, "seed must be at least 0"),
        (lambda: dwt.permute_marginals(torch.zeros(3, 2), seed=torch.zeros(2)), TypeError, "seed must be one whole number"),
        (lambda: dwt.permute_marginals(torch.zeros(3, 2), blocks=[0]), ValueError, "blocks must hold one label a feature"),
        (lambda: dwt.log_mean_exp([0.0]), TypeError, "f must be a tensor; got list"),
        (lambda: dwt.log_mean_exp(torch.zeros(0)), ValueError, "f must not be empty"),
        (lambda: dwt.log_mean_exp(torch.arange(3)), TypeError, "got dtype torch.int64"),
        (lambda: dwt.log_mean_exp(torch.zeros(3), axis=1), ValueError, "axis must be below 1"),
        (lambda: dwt.log_mean_exp(torch.zeros(3), axis=-2), ValueError, "axis must be at least -1"),
        (lambda: dwt.log_mean_exp(torch.zeros(3), weights=torch.ones(2)), ValueError, "weights must broadcast to f"),
        (lambda: dwt.log_mean_exp(torch.zeros(3), weights=-torch.ones(3)), ValueError, "not negative"),
        (lambda: dwt.donsker_varadhan(torch.zeros(3), torch.zeros(0)), ValueError, "f_marginal must not be empty"),
        (lambda: dwt.logistic(torch.zeros(3), None), TypeError, "f_marginal must be a tensor"),
    ],
)
def test_errors_name_the_remedy(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_forward_mode_is_refused_not_lost() -> None:
    from torch.func import jvp

    f = torch.randn(3)
    with pytest.raises(NotImplementedError, match="reverse mode"):
        jvp(dwt.log_mean_exp, (f,), (f,))
