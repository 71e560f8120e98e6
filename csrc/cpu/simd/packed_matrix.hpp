// Products of a matrix with the rows of a batch, lanes across the product's entries: out[row] = start + matrix in[row]. Every
// entry is one sum over the columns in their order, so a row's bits depend on no other row, and one row costs no more than its
// share. The matrix lies in panels, as in every BLAS: what a block of sums needs is one stream of whole cache lines.
#pragma once

#include "simd/simd.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t PANEL_VECTORS = 3;                        // of one row's sums at a time
constexpr std::size_t PANEL_ROWS = VECTOR_BYTES == 64 ? 8 : 4;  // 24 sums in 32 registers, 12 in 16
// A row or two alone have more sums each, so that additions do not wait for one another.
DUALWALK_FN constexpr std::size_t vectors_together(std::size_t n_rows) {
  return n_rows == 1 ? 3 * PANEL_VECTORS : n_rows == 2 ? 2 * PANEL_VECTORS : PANEL_VECTORS;
}

// Entries of a panel: the same on every level, so that a matrix is packed once for all of them.
template <class T>
constexpr std::size_t PANEL = 192 / sizeof(T);
template <class T>
constexpr std::size_t PANEL_LINE = 64 / sizeof(T);

// Rows lie this far apart: whole lines, with zeros (or nothing that is read) behind the last entry.
template <class T>
DUALWALK_FN std::size_t whole_lines(std::size_t n) {
  return (n + PANEL_LINE<T> - 1) / PANEL_LINE<T> * PANEL_LINE<T>;
}

// (n_entries, n_columns): panels of PANEL entries, each column by column, zeros behind the last entry; aligned to lines.
template <class T>
struct PackedMatrix {
  const T* data;
  std::size_t n_entries, n_columns;

  static std::size_t size(std::size_t n_entries, std::size_t n_columns) {
    return (n_entries + PANEL<T> - 1) / PANEL<T> * PANEL<T> * n_columns;
  }
  // Where PANEL_VECTORS vectors of entries begin.
  DUALWALK_FN const T* block(std::size_t number) const {
    constexpr std::size_t in_panel = PANEL<T> / (PANEL_VECTORS * LANES<T>);
    return data + number / in_panel * PANEL<T> * n_columns + number % in_panel * (PANEL_VECTORS * LANES<T>);
  }
};

// The other factor: rows `row_step` apart, each of `n_parts` runs of `length` columns that begin `part_step` apart.
template <class T>
struct Inputs {
  const T* data;
  std::size_t row_step, n_parts, length, part_step;
};

// n_vectors of the sums of n_rows rows, from the block `first` on.
template <std::size_t n_rows, std::size_t n_vectors, class T>
void multiply_block(const PackedMatrix<T>& panels, std::size_t first, const Inputs<T>& inputs, const T* start, T* out,
                    std::size_t out_step) {
  using V = Vector<T>;
  constexpr std::size_t n_blocks = (n_vectors + PANEL_VECTORS - 1) / PANEL_VECTORS;
  const std::size_t entry = first * PANEL_VECTORS * LANES<T>;
  const T* from[n_blocks];
  for (std::size_t b = 0; b < n_blocks; ++b) from[b] = panels.block(first + b);
  V sum[n_rows][n_vectors];
#pragma GCC unroll 9
  for (std::size_t v = 0; v < n_vectors; ++v)
#pragma GCC unroll 8
    for (std::size_t r = 0; r < n_rows; ++r) sum[r][v] = start ? load<V>(start + entry + v * LANES<T>) : V{};
  std::size_t at = 0;
  for (std::size_t part = 0; part < inputs.n_parts; ++part) {
    const T* in = inputs.data + part * inputs.part_step;
    for (std::size_t c = 0; c < inputs.length; ++c, ++in, at += PANEL<T>) {
      if constexpr (n_rows < 3) {
        V x[n_rows];
#pragma GCC unroll 2
        for (std::size_t r = 0; r < n_rows; ++r) x[r] = splat<V>(in[r * inputs.row_step]);
#pragma GCC unroll 9
        for (std::size_t v = 0; v < n_vectors; ++v) {
          const V m = load<V>(from[v / PANEL_VECTORS] + at + v % PANEL_VECTORS * LANES<T>);
#pragma GCC unroll 2
          for (std::size_t r = 0; r < n_rows; ++r) sum[r][v] += x[r] * m;
        }
      } else {
        V m[n_vectors];
#pragma GCC unroll 3
        for (std::size_t v = 0; v < n_vectors; ++v) m[v] = load<V>(from[0] + at + v * LANES<T>);
#pragma GCC unroll 8
        for (std::size_t r = 0; r < n_rows; ++r) {
          const V x = splat<V>(in[r * inputs.row_step]);
#pragma GCC unroll 3
          for (std::size_t v = 0; v < n_vectors; ++v) sum[r][v] += x * m[v];
        }
      }
    }
  }
#pragma GCC unroll 8
  for (std::size_t r = 0; r < n_rows; ++r)
#pragma GCC unroll 9
    for (std::size_t v = 0; v < n_vectors; ++v) store(out + r * out_step + entry + v * LANES<T>, sum[r][v]);
}

template <std::size_t n_rows, std::size_t n_vectors, class T>
DUALWALK_FN void multiply_vectors(std::size_t n, const PackedMatrix<T>& panels, std::size_t first, const Inputs<T>& inputs,
                                  const T* start, T* out, std::size_t out_step) {
  if (n == n_vectors) return multiply_block<n_rows, n_vectors>(panels, first, inputs, start, out, out_step);
  if constexpr (n_vectors > 1) multiply_vectors<n_rows, n_vectors - 1>(n, panels, first, inputs, start, out, out_step);
}

// n_vectors of the sums of n rows, n at most n_rows.
template <std::size_t n_rows, class T>
DUALWALK_FN void multiply_rows(std::size_t n, std::size_t n_vectors, const PackedMatrix<T>& panels, std::size_t first,
                               const Inputs<T>& inputs, const T* start, T* out, std::size_t out_step) {
  if (n == n_rows)
    return multiply_vectors<n_rows, vectors_together(n_rows)>(n_vectors, panels, first, inputs, start, out, out_step);
  if constexpr (n_rows > 1) multiply_rows<n_rows - 1>(n, n_vectors, panels, first, inputs, start, out, out_step);
}

// out[row] = start + matrix in[row] for n_rows rows, in whole lines; start may be null. A panel is used by all rows before the
// next one is read, so that a matrix beyond the cache is read from memory once.
template <class T>
void multiply(const PackedMatrix<T>& panels, std::size_t n_rows, const Inputs<T>& inputs, const T* start, T* out,
              std::size_t out_step) {
  const std::size_t n_vectors = whole_lines<T>(panels.n_entries) / LANES<T>;
  const std::size_t n_blocks = (n_vectors + PANEL_VECTORS - 1) / PANEL_VECTORS;
  const std::size_t n_groups = (n_rows + PANEL_ROWS - 1) / PANEL_ROWS;  // of much the same size: none is left with one row
  const std::size_t most = n_groups == 1 ? vectors_together(n_rows) / PANEL_VECTORS : 1, turns = (n_blocks + most - 1) / most;
  for (std::size_t turn = 0, first = 0; turn < turns; ++turn) {
    const std::size_t blocks = n_blocks / turns + (turn < n_blocks % turns);
    const std::size_t vectors = smaller(blocks * PANEL_VECTORS, n_vectors - first * PANEL_VECTORS);
    for (std::size_t group = 0, row = 0; group < n_groups; ++group) {
      const std::size_t rows = n_rows / n_groups + (group < n_rows % n_groups);
      Inputs<T> in = inputs;
      in.data += row * in.row_step;
      multiply_rows<PANEL_ROWS>(rows, vectors, panels, first, in, start, out + row * out_step, out_step);
      row += rows;
    }
    first += blocks;
  }
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
