"""One page of every kernel's speed, error, peers and limit: `python -m benchmarks.report`."""
