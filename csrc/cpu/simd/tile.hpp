// A tile: rows of a batch side by side in vector lanes, features down. Every product with a matrix is one with broadcast
// entries, and no arithmetic ever crosses lanes, so a row's bits do not depend on its neighbours.
#pragma once

#include "simd/simd.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t TILE_VECTORS = 2;
constexpr std::size_t ROWS = VECTOR_BYTES == 64 ? 12 : 4;  // rows of a product kept in registers

template <class T>
constexpr std::size_t TILE = TILE_VECTORS * LANES<T>;

// A matrix with its rows in blocks of ROWS, a block stored column by column; rows beyond the last are zero.
template <class T>
DUALWALK_FN std::size_t packed_size(std::size_t n_rows, std::size_t n_columns) {
  return (n_rows + ROWS - 1) / ROWS * ROWS * n_columns;
}
template <class T>
void pack(const T* matrix, std::size_t n_rows, std::size_t n_columns, std::size_t row_step, std::size_t column_step,
          T* packed) {
  for (std::size_t block = 0; block < n_rows; block += ROWS)
    for (std::size_t column = 0; column < n_columns; ++column)
      for (std::size_t row = block; row < block + ROWS; ++row)
        *packed++ = row < n_rows ? matrix[row * row_step + column * column_step] : T{0};
}

// out[r] = start[r] + sum_c matrix[r, c] in[c] for every row r, each entry a tile of lanes; start may be null.
template <class T>
void multiply(const T* packed, std::size_t n_rows, std::size_t n_columns, const T* in, const T* start, T* out) {
  using V = Vector<T>;
  for (std::size_t block = 0; block < n_rows; block += ROWS, packed += ROWS * n_columns) {
    const std::size_t rows = smaller(ROWS, n_rows - block);
    V sum[ROWS][TILE_VECTORS];
#pragma GCC unroll 16
    for (std::size_t r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
      for (std::size_t v = 0; v < TILE_VECTORS; ++v) sum[r][v] = splat<V>(start && r < rows ? start[block + r] : T{0});
    const T* weights = packed;
    for (std::size_t column = 0; column < n_columns; ++column, weights += ROWS) {
      V x[TILE_VECTORS];
#pragma GCC unroll 2
      for (std::size_t v = 0; v < TILE_VECTORS; ++v) x[v] = load<V>(in + column * TILE<T> + v * LANES<T>);
#pragma GCC unroll 16
      for (std::size_t r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
        for (std::size_t v = 0; v < TILE_VECTORS; ++v) sum[r][v] += weights[r] * x[v];
    }
#pragma GCC unroll 16
    for (std::size_t r = 0; r < ROWS; ++r)
      if (r < rows)
#pragma GCC unroll 2
        for (std::size_t v = 0; v < TILE_VECTORS; ++v) store(out + (block + r) * TILE<T> + v * LANES<T>, sum[r][v]);
  }
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
