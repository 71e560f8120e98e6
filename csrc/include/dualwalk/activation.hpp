// The smooth functions that objectives and critics are made of, each with its derivative; V as in elementary.hpp.
#pragma once

#include "elementary.hpp"

namespace dualwalk {

template <class V>
DUALWALK_FN V magnitude(V x) {
  return x < Number<V>{0} ? -x : x;
}

// SiLU(z) = z sigmoid(z), at most 4 ULP where exp(-|z|) is normal, else 4 |z| times the least denormal; and its derivative, at
// most 4 ULP or, where it crosses zero at z = -1.28, 4 roundings of 1. At -inf both are NaN.
template <class V>
DUALWALK_FN V silu(V z, V& slope) {
  using T = Number<V>;
  const V small = exponential(-magnitude(z)), larger_half = T{1} / (small + T{1}), smaller_half = small * larger_half;
  const V sigmoid = z < T{0} ? smaller_half : larger_half, complement = z < T{0} ? larger_half : smaller_half;
  slope = sigmoid * (z * complement + T{1});
  return z * sigmoid;
}

// log sigmoid(z), never positive, at most 3 ULP; and its derivative sigmoid(-z).
template <class V>
DUALWALK_FN V log_sigmoid(V z, V& slope) {
  using T = Number<V>;
  const V small = exponential(-magnitude(z));
  slope = (z < T{0} ? splat<V>(T{1}) : small) / (small + T{1});
  return (z < T{0} ? z : splat<V>(T{0})) - log_one_plus(small);
}

}  // namespace dualwalk
