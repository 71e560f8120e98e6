// Sums of products over the features of one row, in as many partial sums on every SIMD level.
#pragma once

#include "simd/transpose.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
constexpr std::size_t SUMS = 64 / sizeof(T);  // partial sums, a whole number of vectors on every level

// lane 0 + lane 8, 1 + 9, .. , then 0 + 4, .. , down to one number.
template <std::size_t Step, class V, std::size_t... Lane>
DUALWALK_FN V fold_lanes(V v, std::index_sequence<Lane...>) {
#if defined(DUALWALK_SHUFFLES)
  return v + __builtin_shufflevector(v, v, ((Lane + Step) % sizeof...(Lane))...);
#else
  for (std::size_t i = 0; i < Step; ++i) v[i] += v[i + Step];
  return v;
#endif
}
template <class V, std::size_t... Lane>
DUALWALK_FN Number<V> sum_of_halves(V v, std::index_sequence<Lane...> all) {
  constexpr std::size_t lanes = sizeof...(Lane);
  if constexpr (lanes >= 16) v = fold_lanes<8>(v, all);
  if constexpr (lanes >= 8) v = fold_lanes<4>(v, all);
  if constexpr (lanes >= 4) v = fold_lanes<2>(v, all);
  if constexpr (lanes >= 2) v = fold_lanes<1>(v, all);
  return v[0];
}

template <class T>
struct PartialSums {
  using V = Vector<T>;
  static constexpr std::size_t PARTS = SUMS<T> / LANES<T>;
  V part[PARTS] = {};

  // Adds SUMS products.
  DUALWALK_FN void add(const T* a, const T* b) {
    for (std::size_t p = 0; p < PARTS; ++p) part[p] += load<V>(a + p * LANES<T>) * load<V>(b + p * LANES<T>);
  }
  // By halves, in the same order on every level: whole vectors first, then halves of one.
  DUALWALK_FN T total() const {
    V sum[PARTS];
    std::memcpy(sum, part, sizeof(sum));
    for (std::size_t width = PARTS / 2; width > 0; width /= 2)
      for (std::size_t i = 0; i < width; ++i) sum[i] += sum[i + width];
    return sum_of_halves(sum[0], std::make_index_sequence<LANES<T>>{});
  }
};

// Rows whose products share one reading of the other factor.
constexpr std::size_t ROWS_AT_ONCE = 4;

// 1 in the last `count` of SUMS places, 0 before: for a last vector that overlaps the one before it.
template <class T>
DUALWALK_FN const T* last_ones(std::size_t count) {
  static constexpr struct Table {
    T one[2 * SUMS<T>] = {};
    constexpr Table() {
      for (std::size_t i = SUMS<T>; i < 2 * SUMS<T>; ++i) one[i] = T{1};
    }
  } table;
  return table.one + count;
}

// out[r] = rows[r] . b for n_rows rows that lie `step` apart.
template <std::size_t n_rows, class T>
DUALWALK_FN void dots(const T* rows, std::size_t step, const T* b, std::size_t n, T* out) {
  using V = Vector<T>;
  PartialSums<T> sums[n_rows];
  std::size_t j = 0;
  for (; j + SUMS<T> <= n; j += SUMS<T>)
#pragma GCC unroll 4
    for (std::size_t r = 0; r < n_rows; ++r) sums[r].add(rows + r * step + j, b + j);
  if (j < n) {
    T other[SUMS<T>] = {};
    if (n >= SUMS<T>) {
      const T* const ones = last_ones<T>(n - j);
      for (std::size_t i = 0; i < SUMS<T>; i += LANES<T>) store(other + i, load<V>(b + n - SUMS<T> + i) * load<V>(ones + i));
      for (std::size_t r = 0; r < n_rows; ++r) sums[r].add(rows + r * step + n - SUMS<T>, other);
    } else {
      std::memcpy(other, b, n * sizeof(T));
      for (std::size_t r = 0; r < n_rows; ++r) {
        T row[SUMS<T>] = {};
        std::memcpy(row, rows + r * step, n * sizeof(T));
        sums[r].add(row, other);
      }
    }
  }
#pragma GCC unroll 4
  for (std::size_t r = 0; r < n_rows; ++r) out[r] = sums[r].total();
}

template <class T>
DUALWALK_FN T dot(const T* a, const T* b, std::size_t n) {
  T out;
  dots<1>(a, 0, b, n, &out);
  return out;
}

// out += sum_r factors[r] rows[r]
template <std::size_t n_rows, class T>
DUALWALK_FN void add_multiples(const T* factors, const T* rows, std::size_t step, std::size_t n, T* out) {
  using V = Vector<T>;
  std::size_t j = 0;
  for (; j + LANES<T> <= n; j += LANES<T>) {
    V sum = load<V>(out + j);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < n_rows; ++r) sum += factors[r] * load<V>(rows + r * step + j);
    store(out + j, sum);
  }
  for (; j < n; ++j)
    for (std::size_t r = 0; r < n_rows; ++r) out[j] += factors[r] * rows[r * step + j];
}
template <class T>
DUALWALK_FN void add_multiple(T factor, const T* a, std::size_t n, T* out) {
  add_multiples<1>(&factor, a, 0, n, out);
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
