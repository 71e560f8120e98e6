"""What DualSampler does beside the ladder: starts and labels, novelty, grouped data, interpolation, other walks."""
