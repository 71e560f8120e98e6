"""dualwalk: new multivariate time series from a few hundred real ones, by walks in the dual space of their divergence."""

__version__ = "0.1.0"
