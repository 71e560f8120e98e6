"""What the device can do: rates of memory and of matrix products, measured right before the case that is compared with them."""

from __future__ import annotations

import importlib.util
from typing import Any

from .case import Case
from .clock import Clock

ARITHMETIC = ("float32", "float64", "tf32", "bf16")
N_BYTES = 1 << 30  # an array of the memory's limits: many times the cache
N_MATRIX = 8192  # rows and columns of the matrices of the arithmetic's limits
SECONDS = 0.03  # of calls, for each rate

# Loads and nothing else. The comparison keeps the compiler from leaving them out.
READ = """
extern "C" __global__ void read_all(const float4* x, unsigned long long n, float* out) {
  float sum = 0.0f;
  const unsigned long long step = (unsigned long long)gridDim.x * blockDim.x;
  #pragma unroll 4
  for (unsigned long long i = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    const float4 v = x[i];
    sum += v.x + v.y + v.z + v.w;
  }
  if (sum == 1.2345e-30f) *out = sum;
}
"""


class Limits:
    """Bytes or operations a second of this device; the best of some ways to reach each."""

    def __init__(self, xp: Any, clock: Clock) -> None:
        self.xp, self.clock = xp, clock

    def of(self, case: Case) -> dict[str, Any] | None:
        """What a call takes at the least, in seconds, what binds ("read", "write", "float32", ...) and the rates; None without needs."""
        if not case.needs:
            return None
        rates: dict[str, float] = {}
        seconds = {True: 0.0, False: 0.0}
        names: dict[bool, list[str]] = {True: [], False: []}
        for need in case.needs:
            if need.resource not in rates:
                rates[need.resource] = self.rate(need.resource)
            arithmetic = need.resource in ARITHMETIC
            seconds[arithmetic] += need.amount / rates[need.resource]
            names[arithmetic].append(need.resource)
        binds = seconds[True] >= seconds[False]
        return {"seconds": seconds[binds], "binds": " + ".join(dict.fromkeys(names[binds])), "rates": rates}

    def rate(self, resource: str) -> float:
        return self._arithmetic(resource) if resource in ARITHMETIC else self._memory(resource)

    def _memory(self, resource: str) -> float:
        """Bytes a second; a copy counts bytes read and bytes written."""
        xp = self.xp
        x = xp.ones(N_BYTES // 4, xp.float32)
        if resource == "read":
            read, out = xp.RawKernel(READ, "read_all"), xp.zeros(1, xp.float32)
            blocks = 16 * xp.cuda.Device().attributes["MultiProcessorCount"]
            ways = [lambda: read((blocks,), (256,), (x, xp.uint64(N_BYTES // 16), out)), lambda: x.sum()]
        elif resource == "write":
            ways = [lambda: x.fill(2.0), lambda: x.data.memset_async(1, x.nbytes)]
        else:
            y = xp.empty_like(x)
            ways = [lambda: xp.copyto(y, x), lambda: y.data.copy_from_device_async(x.data, x.nbytes)]
        n_bytes = 2 * N_BYTES if resource == "copy" else N_BYTES
        return n_bytes / min(self.clock.median(way, SECONDS) for way in ways)

    def _arithmetic(self, resource: str) -> float:
        """Operations a second, a multiplication and an addition being two, of PyTorch's matrix product."""
        if importlib.util.find_spec("torch") is None:
            return float("inf")  # not known, so it never binds
        import torch

        dtype = {"float64": torch.float64, "bf16": torch.bfloat16}.get(resource, torch.float32)
        n = N_MATRIX // 2 if dtype == torch.float64 else N_MATRIX
        a, b = (torch.randn(n, n, dtype=dtype, device="cuda") for _ in range(2))
        torch.set_float32_matmul_precision("high" if resource == "tf32" else "highest")
        seconds = self.clock.median(lambda: a @ b, SECONDS)
        torch.set_float32_matmul_precision("highest")
        return 2.0 * n**3 / seconds
