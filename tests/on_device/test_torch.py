"""Tensors on a device: our operators and walks give there what they give on the CPU, on torch's stream, and copy nothing.

On the emulated device a tensor of the host's memory is taken for one there.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from extras import needs

import dualwalk as dw
from dualwalk import _device
from on_device.kit import Device

torch = needs("torch")
dwt = needs("dualwalk.adapters.torch")


class Stream:
    """CuPy's view of a stream of torch's; the last one entered is kept."""

    entered: tuple[int, int] | None = None

    def __init__(self, address: int, device: int) -> None:
        self.place = (address, device)

    def __enter__(self) -> None:
        Stream.entered = self.place

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def put(device: Device, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """put(tensor) is the tensor on the device."""
    if not device.emulated:
        yield lambda tensor: tensor.cuda()
        return
    from dualwalk.adapters.torch import _permute, _tensors

    shared = device.xp.ndarray
    for module in (_tensors, _permute):
        monkeypatch.setattr(module, "on_cuda", lambda tensor: True)
    monkeypatch.setattr(device.xp, "from_dlpack", lambda tensor: shared(np.from_dlpack(tensor)))
    monkeypatch.setattr(device.xp.cuda, "ExternalStream", Stream, raising=False)
    monkeypatch.setattr(torch, "from_dlpack", lambda array: torch.from_numpy(array._host))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=77))
    Stream.entered = None
    yield lambda tensor: tensor
    _tensors._stream.cache_clear()


@pytest.mark.parametrize("method", ["shuffle", "resample", "shift"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.bool, torch.int64])
def test_rows_move_there_as_here(put: Any, method: str, dtype: Any) -> None:
    x = (torch.randn(60, 2, 3) * 3).to(dtype)
    expected = torch.ops.dualwalk.permute_marginals(x, torch.tensor(5), torch.tensor([1, 0]), 2, method)
    got = dwt.permute_marginals(
        put(x.transpose(1, 2).contiguous().transpose(1, 2)), seed=5, n_copies=2, blocks=[1, 0], method=method
    )
    assert got.dtype == dtype
    assert torch.equal(got.cpu(), expected)
    numbers = x.view(torch.int16).numpy() if dtype == torch.bfloat16 else x.numpy()
    theirs = dw.permute_marginals(numbers, seed=5, n_copies=2, blocks=[1, 0], method=method)
    np.testing.assert_array_equal(got.cpu().view(torch.int16) if dtype == torch.bfloat16 else got.cpu(), theirs)


@pytest.mark.parametrize("method", ["shuffle", "resample"])
def test_gradients_add_up_there_as_here(put: Any, method: str) -> None:
    x, weight = torch.randn(40, 3, dtype=torch.float64), torch.randn(2, 40, 3, dtype=torch.float64)
    row = np.broadcast_to(np.arange(40)[:, None], (40, 3))
    source = dw.permute_marginals(row, seed=2, n_copies=2, method=method)
    expected = np.zeros((40, 3))
    for column in range(3):
        np.add.at(expected[:, column], source[..., column].ravel(), weight.numpy()[..., column].ravel())
    there = put(x).detach().requires_grad_()
    (dwt.permute_marginals(there, seed=2, n_copies=2, method=method) * put(weight)).sum().backward()
    np.testing.assert_allclose(there.grad.cpu(), expected, rtol=1e-12)


def test_objectives_there(put: Any) -> None:
    f, g, w = (torch.randn(30, dtype=torch.float64) for _ in range(3))
    there = put(f).detach().requires_grad_()
    value, slope = dwt.log_mean_exp(there, weights=put(w.exp()), return_gradient=True)
    expected = dw.log_mean_exp(f.numpy(), weights=w.exp().numpy(), return_gradient=True)
    np.testing.assert_allclose(value.item(), expected[0], rtol=1e-12)
    np.testing.assert_allclose(slope.detach().cpu(), expected[1], rtol=1e-12)
    (first,) = torch.autograd.grad(value, there, create_graph=True)
    p = expected[1]
    np.testing.assert_allclose(torch.autograd.grad(first[0], there)[0].cpu(), p[0] * (np.eye(30)[0] - p), rtol=1e-9, atol=1e-15)
    parts = dwt.log_mean_exp(put(f), segments=[0, 10, 30])
    np.testing.assert_allclose(parts.cpu(), dw.log_mean_exp(f.numpy(), segments=[0, 10, 30]), rtol=1e-12)
    for name in ("donsker_varadhan", "logistic"):
        got, wanted = getattr(dwt, name)(put(f), put(g)), getattr(dw, name)(f.numpy(), g.numpy())
        assert got.value.shape == ()
        for ours, theirs in zip(got, wanted, strict=True):
            np.testing.assert_allclose(ours.cpu(), theirs, rtol=1e-12)


def test_walks_there(put: Any, rng: np.random.Generator) -> None:
    dual = dw.MLPDual([rng.standard_normal((6, 4)), rng.standard_normal((1, 6))], [rng.standard_normal(6), np.zeros(1)])
    x0 = rng.standard_normal((8, 4))
    options = {"n_steps": 6, "step_size": 0.05, "noise": 0.5, "seed": 3, "record": True}
    expected = dw.walk(dual, x0, **options)
    module = put(dwt.to_module(dual))
    for walked in (module, lambda x: module(x)):
        result = dwt.walk(walked, put(torch.tensor(x0)), **options)
        for ours, theirs in zip(result, expected, strict=True):
            np.testing.assert_allclose(ours.cpu(), theirs, rtol=1e-9, atol=1e-12)
    again = dwt.to_dual(module)
    np.testing.assert_array_equal(_device.to_host(again.weights[0]), dual.weights[0])


def test_work_runs_on_torchs_stream_and_in_its_memory(put: Any, device: Device) -> None:
    x = put(torch.arange(40.0).reshape(20, 2))
    if device.emulated:
        before = device.xp.n_transfers
        dwt.log_mean_exp(x)
        assert Stream.entered == (77, x.device.index)
        assert device.xp.n_transfers == before
        return
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        got = dwt.permute_marginals(x, seed=1)
    stream.synchronize()
    assert torch.equal(got.cpu(), dwt.permute_marginals(x.cpu(), seed=1))


def test_a_seed_and_labels_may_be_anywhere(put: Any) -> None:
    x = put(torch.arange(40.0).reshape(20, 2))
    labels = put(torch.tensor([0, 0]))
    got = dwt.permute_marginals(x, seed=put(torch.tensor(1)), blocks=labels)
    assert torch.equal(got, dwt.permute_marginals(x, seed=1, blocks=[4, 4]))
