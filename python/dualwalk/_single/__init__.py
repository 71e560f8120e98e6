"""One critic for the whole of x (`DualDivergence(method="single")`): what the paper and the literature use, and our foil."""

from .calibration import UnsupportedEstimateWarning
from .fit import SingleFit, fit_single

__all__ = ["SingleFit", "UnsupportedEstimateWarning", "fit_single"]
