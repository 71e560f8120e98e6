// Rows to columns, a square of one vector's length at a time.
#pragma once

#include <utility>

#include "simd/simd.hpp"

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define DUALWALK_SHUFFLES
#endif
#endif

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

#if defined(DUALWALK_SHUFFLES)
// Swaps the off-diagonal blocks of Step lanes between rows a and b of a square, b being Step rows below a.
template <std::size_t Step, class V, std::size_t... Lane>
DUALWALK_FN void swap_blocks(V& a, V& b, std::index_sequence<Lane...>) {
  constexpr std::size_t lanes = sizeof...(Lane);
  const V upper = __builtin_shufflevector(a, b, (Lane & Step ? lanes + Lane - Step : Lane)...);
  b = __builtin_shufflevector(a, b, (Lane & Step ? lanes + Lane : Lane + Step)...);
  a = upper;
}
template <std::size_t Step, class V, std::size_t Lanes>
DUALWALK_FN void transpose_square(V (&row)[Lanes]) {
#pragma GCC unroll 16
  for (std::size_t i = 0; i < Lanes; ++i)
    if (!(i & Step)) swap_blocks<Step>(row[i], row[i + Step], std::make_index_sequence<Lanes>{});
  if constexpr (Step > 1) transpose_square<Step / 2>(row);
}
#endif

// to[c, r] = from[r, c] for `rows` x `columns` numbers, both multiples of the vector length.
template <class T>
void transpose(const T* from, std::size_t from_row, std::size_t rows, std::size_t columns, T* to, std::size_t to_row) {
#if defined(DUALWALK_SHUFFLES)
  constexpr std::size_t lanes = LANES<T>;
  for (std::size_t r = 0; r < rows; r += lanes)
    for (std::size_t c = 0; c < columns; c += lanes) {
      Vector<T> square[lanes];
#pragma GCC unroll 16
      for (std::size_t i = 0; i < lanes; ++i) square[i] = load<Vector<T>>(from + (r + i) * from_row + c);
      transpose_square<lanes / 2>(square);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < lanes; ++i) store(to + (c + i) * to_row + r, square[i]);
    }
#else
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c) to[c * to_row + r] = from[r * from_row + c];
#endif
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
