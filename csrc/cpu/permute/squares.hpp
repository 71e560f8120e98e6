// Columns of numbers to rows, where each column begins anywhere: a square of one vector's length at a time.
#pragma once

#include <type_traits>

#include "simd/transpose.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// 4- and 8-byte items move as the floats of their size: no arithmetic touches them.
template <class Item>
using RealOf = std::conditional_t<sizeof(Item) == 8, double, float>;

#if defined(DUALWALK_SHUFFLES)
template <class Item>
constexpr bool can_transpose = sizeof(Item) == 4 || sizeof(Item) == 8;
#else
template <class Item>
constexpr bool can_transpose = false;
#endif

// to[r, c] = from[c][r] for a square; past the caches where `to` and its rows are aligned to vectors and the caller says so.
template <class Item>
DUALWALK_FN void square_to_rows(const Item* const* from, Item* to, std::size_t to_row, bool past_caches = false) {
  constexpr std::size_t lanes = VECTOR_BYTES / sizeof(Item);
#if defined(DUALWALK_SHUFFLES)
  if constexpr (can_transpose<Item>) {
    Vector<RealOf<Item>> square[lanes];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < lanes; ++i) square[i] = load<Vector<RealOf<Item>>>(from[i]);
    transpose_square<lanes / 2>(square);
    if (past_caches) {
#pragma GCC unroll 16
      for (std::size_t i = 0; i < lanes; ++i) stream(to + i * to_row, square[i]);
    } else {
#pragma GCC unroll 16
      for (std::size_t i = 0; i < lanes; ++i) store(to + i * to_row, square[i]);
    }
    return;
  }
#endif
  for (std::size_t r = 0; r < lanes; ++r)
    for (std::size_t c = 0; c < lanes; ++c) to[r * to_row + c] = from[c][r];
}

// to[r, c] = from[c, r] for `columns` x `rows` numbers; rows is a multiple of the vector's length, and where columns is not,
// the last are copied one by one.
template <class Item>
void columns_to_rows(const Item* from, std::size_t length, std::size_t columns, std::size_t rows, Item* to,
                     std::size_t to_row) {
  constexpr std::size_t lanes = VECTOR_BYTES / sizeof(Item);
  const std::size_t squares = can_transpose<Item> ? columns / lanes * lanes : 0;
  for (std::size_t c = 0; c < squares; c += lanes)
    for (std::size_t r = 0; r < rows; r += lanes) {
      const Item* begin[lanes];
      for (std::size_t i = 0; i < lanes; ++i) begin[i] = from + (c + i) * length + r;
      square_to_rows(begin, to + r * to_row + c, to_row);
    }
  for (std::size_t c = squares; c < columns; ++c)
    for (std::size_t r = 0; r < rows; ++r) to[r * to_row + c] = from[c * length + r];
}

// to[c, r] = from[r, c], rows of `from` being `stride` bytes apart and its columns side by side. There are `fetch` rows, of
// which those behind `rows` will be wanted next.
template <class Item>
void rows_to_columns(const char* from, std::ptrdiff_t stride, std::size_t rows, std::size_t columns, std::size_t fetch,
                     Item* to, std::size_t length) {
  constexpr std::size_t lanes = VECTOR_BYTES / sizeof(Item);
  const std::size_t wide = can_transpose<Item> ? columns / lanes * lanes : 0;
  std::size_t row = 0;
  const char* const first = from;
#if defined(DUALWALK_SHUFFLES)
  if constexpr (can_transpose<Item>)
    for (; row + lanes <= rows; row += lanes, from += static_cast<std::ptrdiff_t>(lanes) * stride)
      for (std::size_t c = 0; c < wide; c += lanes) {
        Vector<RealOf<Item>> square[lanes];
#pragma GCC unroll 16
        for (std::size_t i = 0; i < lanes; ++i) {
          const char* const at = from + static_cast<std::ptrdiff_t>(i) * stride + c * sizeof(Item);
          square[i] = load<Vector<RealOf<Item>>>(at);
          if (row + i + lanes < fetch) __builtin_prefetch(at + static_cast<std::ptrdiff_t>(lanes) * stride, 0, 2);
        }
        transpose_square<lanes / 2>(square);
#pragma GCC unroll 16
        for (std::size_t i = 0; i < lanes; ++i) store(to + (c + i) * length + row, square[i]);
      }
#endif
  for (std::size_t r = 0; r < rows; ++r)  // what no square covers
    for (std::size_t c = r < row ? wide : 0; c < columns; ++c)
      std::memcpy(to + c * length + r, first + static_cast<std::ptrdiff_t>(r) * stride + c * sizeof(Item), sizeof(Item));
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
