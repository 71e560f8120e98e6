"""Every compiled job against its peers and against what the machine can do: `pytest benchmarks/kernels`."""
