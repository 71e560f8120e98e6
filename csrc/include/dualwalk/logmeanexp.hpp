// The running state of a log-mean-exp and the one way to combine two of them: a fixed tree of these gives the same bits always.
#pragma once

#include "config.hpp"

namespace dualwalk {

struct PeakSum {
  double peak;    // the largest value seen
  double sum;     // sum of weight * exp(value - peak); where peak is +inf, the weight at +inf
  double weight;  // sum of the weights
};

// exp is passed in, since the host's and the device's have different names.
template <class Exp>
DUALWALK_FN PeakSum combine(const PeakSum& a, const PeakSum& b, Exp exp) {
  const double peak = a.peak > b.peak ? a.peak : b.peak;
  const double from_a = a.peak == peak ? 1.0 : exp(a.peak - peak), from_b = b.peak == peak ? 1.0 : exp(b.peak - peak);
  return {peak, a.sum * from_a + b.sum * from_b, a.weight + b.weight};
}

}  // namespace dualwalk
