// What the CPU and the device have in common about one pair (a node and a row) of a node network: hidden units, and the pieces of
// its losses. V as in elementary.hpp; `exp` is passed in, since each has its own for numbers of at most about 0.
// backends/_reference_nodes.py is the definition.
#pragma once

#include "elementary.hpp"

namespace dualwalk {

constexpr std::size_t TIED = 2, COMPONENTS = 5, DENSITY_OUTPUTS = 3 * COMPONENTS;  // as in _reference_nodes.py
constexpr double LOWEST_LOG_SD = -4.0, HIGHEST_LOG_SD = 1.5;

// SiLU of z and its derivative.
template <class V, class Exp>
DUALWALK_FN V quick_silu(V z, V& by_z, Exp exp) {
  using T = Number<V>;
  const V small = exp(z < T{0} ? z : -z), share = T{1} / (small + T{1});
  const V sigmoid = z < T{0} ? small * share : share;
  const V value = z * sigmoid;
  by_z = sigmoid + value - value * sigmoid;
  return value;
}

template <class V>
DUALWALK_FN V clip_log_sd(V raw) {
  using T = Number<V>;
  raw = raw < T(LOWEST_LOG_SD) ? splat<V>(T(LOWEST_LOG_SD)) : raw;
  return raw > T(HIGHEST_LOG_SD) ? splat<V>(T(HIGHEST_LOG_SD)) : raw;
}

// Softmax of five, in place; returns their log-sum-exp.
template <class V, class Exp>
DUALWALK_FN V softmax(V (&values)[COMPONENTS], Exp exp) {
  using T = Number<V>;
  V largest = values[0];
  for (std::size_t j = 1; j < COMPONENTS; ++j) largest = values[j] > largest ? values[j] : largest;
  V total = {};
  for (std::size_t j = 0; j < COMPONENTS; ++j) {
    values[j] = exp(values[j] - largest);
    total += values[j];
  }
  const V share = T{1} / total;
  for (std::size_t j = 0; j < COMPONENTS; ++j) values[j] *= share;
  return largest + logarithm(total);
}

// log N(x; mean, scale) - log N(x; 0, 1).
template <class V>
DUALWALK_FN V base_log_ratio(V x, V mean, Number<V> log_scale, Number<V> inverse_scale) {
  using T = Number<V>;
  const V z = (x - mean) * inverse_scale;
  return T(0.5) * (x * x - z * z) - log_scale;
}

}  // namespace dualwalk
