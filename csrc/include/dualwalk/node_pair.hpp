// The arithmetic of one pair (a node and a row) of a node network: its hidden units and its losses, from numbers in registers.
// V as in elementary.hpp; `exp` is passed in, since the CPU and the device have different ones for numbers of at most about 0.
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

// f = log mixture(x) - log N(x; 0, 1) from a density network's `outputs`, which with Slopes become f's gradient by them times
// `factor`.
template <bool Slopes, class V, class Exp>
DUALWALK_FN V density_log_ratio(V (&outputs)[DENSITY_OUTPUTS], V x, V mean, Number<V> log_scale, Number<V> inverse_scale,
                                Number<V> factor, Exp exp) {
  using T = Number<V>;
  const V residual = (x - mean) * inverse_scale;
  V share[COMPONENTS], posterior[COMPONENTS], z[COMPONENTS], precision[COMPONENTS], log_sd[COMPONENTS];
  for (std::size_t j = 0; j < COMPONENTS; ++j) {
    log_sd[j] = clip_log_sd(outputs[2 * COMPONENTS + j]);
    precision[j] = exp(-log_sd[j]);  // of a small number of either sign
    z[j] = ((j < TIED ? residual : x) - outputs[COMPONENTS + j]) * precision[j];
    share[j] = outputs[j];
    posterior[j] = share[j] - log_sd[j] - T(0.5) * z[j] * z[j];
    if (j < TIED) posterior[j] -= log_scale;
  }
  const V joint = softmax(posterior, exp), total = softmax(share, exp);
  if (Slopes)
    for (std::size_t j = 0; j < COMPONENTS; ++j) {
      const V raw = outputs[2 * COMPONENTS + j], by_log_sd = factor * (posterior[j] * (z[j] * z[j] - T{1}));
      outputs[j] = factor * (posterior[j] - share[j]);
      outputs[COMPONENTS + j] = factor * (posterior[j] * z[j] * precision[j]);
      outputs[2 * COMPONENTS + j] = raw == log_sd[j] ? by_log_sd : V{};  // beyond its range it has no effect
    }
  return joint - total + T(0.5) * x * x;
}

// log N(x; mean, scale) - log N(x; 0, 1).
template <class V>
DUALWALK_FN V base_log_ratio(V x, V mean, Number<V> log_scale, Number<V> inverse_scale) {
  using T = Number<V>;
  const V z = (x - mean) * inverse_scale;
  return T(0.5) * (x * x - z * z) - log_scale;
}

}  // namespace dualwalk
