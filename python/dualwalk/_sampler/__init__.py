"""What DualSampler does beside the ladder: starts and labels, novelty, grouped data, interpolation, other walks."""

WITH_PATH = ("mixture", "renoised")  # walks that need a dual function with a path in time
MODES = (*WITH_PATH, "gradient", "langevin")  # walks beside the ladder
WALKS = ("auto", "local", *MODES)
