"""Benchmarks of the CUDA kernels against CuPy, PyTorch and the device's own limits."""
