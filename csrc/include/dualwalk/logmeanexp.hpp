// The running state of a log-mean-exp, the one way to combine two of them (a fixed tree of these gives the same bits always),
// and its end.
#pragma once

#include "config.hpp"

namespace dualwalk {

// Every term exp(x - base) is kept as 2^n + 2^n e with |e| < 1/2. The two parts are summed apart: where all x are near the
// base, `steps` counts exactly and `rest` is the sum of expm1(x - base), so results next to 0 keep their leading digits.
struct ExpSum {
  double base;    // 0 where no x is far from 0, else the largest x; infinite where that is
  double steps;   // sum of weight * 2^n; where base is +inf, the weight at +inf
  double rest;    // sum of weight * 2^n e
  double weight;  // sum of the weights
};

// exp is passed in, since the host's and the device's have different names.
template <class Exp>
DUALWALK_FN ExpSum combine(const ExpSum& a, const ExpSum& b, Exp exp) {
  if (a.base == b.base) return {a.base, a.steps + b.steps, a.rest + b.rest, a.weight + b.weight};
  const double base = a.base > b.base ? a.base : b.base;
  const double by_a = a.base == base ? 1.0 : exp(a.base - base), by_b = b.base == base ? 1.0 : exp(b.base - base);
  return {base, a.steps * by_a + b.steps * by_b, a.rest * by_a + b.rest * by_b, a.weight + b.weight};
}

// log(total / weight); near 1 as log1p of what is over.
template <class Log, class Log1p>
DUALWALK_FN double log_mean(const ExpSum& s, Log log, Log1p log1p) {
  const double over = (s.rest + (s.steps - s.weight)) / s.weight;
  if (over > -0.5 && over < 1.0) return s.base + log1p(over);
  return s.base + log((s.steps + s.rest) / s.weight);  // NaN where the sums are: no comparison held
}

}  // namespace dualwalk
