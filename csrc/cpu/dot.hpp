// Sums of products over the features of one row, in as many partial sums on every SIMD level.
#pragma once

#include "simd.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
constexpr std::size_t SUMS = 64 / sizeof(T);  // partial sums, a whole number of vectors on every level

template <class T>
struct PartialSums {
  using V = Vector<T>;
  static constexpr std::size_t PARTS = SUMS<T> / LANES<T>;
  V part[PARTS] = {};

  // Adds SUMS products.
  DUALWALK_FN void add(const T* a, const T* b) {
    for (std::size_t p = 0; p < PARTS; ++p) part[p] += load<V>(a + p * LANES<T>) * load<V>(b + p * LANES<T>);
  }
  DUALWALK_FN T total() const {
    T sum[SUMS<T>];
    std::memcpy(sum, part, sizeof(sum));
    for (std::size_t width = SUMS<T> / 2; width > 0; width /= 2)
      for (std::size_t i = 0; i < width; ++i) sum[i] += sum[i + width];
    return sum[0];
  }
};

template <class T>
DUALWALK_FN T dot(const T* a, const T* b, std::size_t n) {
  PartialSums<T> sums;
  std::size_t j = 0;
  for (; j + SUMS<T> <= n; j += SUMS<T>) sums.add(a + j, b + j);
  if (j < n) {
    T rest[2][SUMS<T>] = {};
    std::memcpy(rest[0], a + j, (n - j) * sizeof(T));
    std::memcpy(rest[1], b + j, (n - j) * sizeof(T));
    sums.add(rest[0], rest[1]);
  }
  return sums.total();
}

// out += factor * a
template <class T>
DUALWALK_FN void add_multiple(T factor, const T* __restrict a, std::size_t n, T* __restrict out) {
  for (std::size_t j = 0; j < n; ++j) out[j] += factor * a[j];
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
