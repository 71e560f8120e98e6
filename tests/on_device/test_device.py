"""The way onto a device and back, the caller's stream, and what the compiled module refuses."""

from __future__ import annotations

import numpy as np
import pytest

import dualwalk as dw
from dualwalk import _device
from dualwalk._config import config_info
from dualwalk.backends import cuda
from on_device.kit import Device


def test_the_configuration_names_the_device(device: Device) -> None:
    info = config_info()
    facts = device.kernels.facts()
    assert info["cuda"].startswith(f"available: {facts['device']}, capability {facts['capability']}")
    assert info["cuda_built"].startswith(facts["architectures"])


def test_arrays_go_there_and_back_unchanged(device: Device, rng: np.random.Generator) -> None:
    for dtype in (np.float32, np.float64, np.uint32, np.int64, np.bool_):
        x = rng.integers(0, 2, (3, 5)).astype(dtype)
        there = _device.to_device(x)
        assert _device.is_on_device(there)
        assert _device.namespace(x, there) is device.xp
        np.testing.assert_array_equal(_device.to_host(there), x)
        assert _device.to_host(x) is x
        assert _device.as_array(there, "x") is there
    assert _device.namespace(x) is np


def test_work_runs_on_the_callers_stream(device: Device) -> None:
    expected = device.get(cuda.draw_normals(3, 0, 100, 7))
    with device.xp.cuda.Stream() as stream:
        assert _device.here()[0] == stream.ptr
        ours = cuda.draw_normals(3, 0, 100, 7)
        stream.synchronize()
        np.testing.assert_array_equal(device.get(ours), expected)


def test_the_module_refuses_arrays_that_it_cannot_take(device: Device) -> None:
    limits, out, here = device.put([3, 4], np.uint32), device.put([0, 0], np.uint32), _device.here()

    def draw(bounds: object, into: object) -> None:
        device.kernels.draw_integers(0, 1, 0, 0, bounds, into, here)

    with pytest.raises(ValueError, match=r"dualwalk\._cuda: bounds must be an array on a CUDA device"):
        draw(np.zeros(2, np.uint32), out)
    with pytest.raises(ValueError, match="out has another dtype than the job takes"):
        draw(limits, device.put([0, 0], np.float32))
    with pytest.raises(ValueError, match="out has another size than the job takes"):
        draw(limits, out[:1])
    with pytest.raises(ValueError, match="bounds must be C-contiguous"):
        draw(device.put(np.ones(4), np.uint32)[::2], out)
    np.testing.assert_array_equal(device.get(out), 0)


def test_a_launch_that_fails_is_an_error_with_the_jobs_name(device: Device) -> None:
    if not device.emulated:
        pytest.skip("a GPU does not fail when told to")
    x, dual = device.put(np.ones((4, 3))), dw.MLPDual([np.ones((2, 3)), np.ones((1, 2))], [np.zeros(2), np.zeros(1)])
    jobs = {
        "permute_marginals": lambda: dw.permute_marginals(x, seed=0),
        "log_mean_exp": lambda: dw.log_mean_exp(x),
        "mean_log_sigmoid": lambda: dw.logistic(x, x),
        "walk_mlp": lambda: dw.walk(dual, x, n_steps=1, step_size=0.1),
        "draw_normals": lambda: cuda.draw_normals(0, 0, 2, 2),
    }
    for name, call in jobs.items():
        device.kernels.fail_next_launch(9)
        with pytest.raises(RuntimeError, match=f"{name}: cudaErrorInvalidConfiguration"):
            call()
        call()  # the next one runs
